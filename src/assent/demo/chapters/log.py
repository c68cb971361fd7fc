"""The log verifies with a public key alone, and a copy that somebody edited does not."""

from assent.demo.chapters import secrecy
from assent.demo.scene import Scene


def verified_and_tampered(scene: Scene) -> None:
    """Verify the log, then a copy with one record changed."""
    secrecy.nothing_in_the_clear(scene)
    scene.narrator.say("to come")
