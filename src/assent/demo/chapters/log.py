"""The log verifies with a public key alone, and a copy that somebody edited does not."""

from assent.demo.scene import Scene


def verified_and_tampered(scene: Scene) -> None:
    """Verify the log, then a copy with one record changed."""
    scene.narrator.say("to come")
