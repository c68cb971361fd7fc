import ast

class SimpleEval:
    ast_parsed_value: ast.expr
    def __init__(self, expr: str, functions: object = ...) -> None: ...
