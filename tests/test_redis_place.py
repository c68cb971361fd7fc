"""The URL of a place of Redis: every form that is taken, and what is refused without repeating a password."""

import pytest

from assent.config.redis_places import RedisPlace, Topology

TAKEN = {
    "redis://127.0.0.1": RedisPlace(name="redis://127.0.0.1", hosts=(("127.0.0.1", 6379),)),
    "rediss://broker@redis.example:6380/2": RedisPlace(
        name="rediss://redis.example:6380/2",
        hosts=(("redis.example", 6380),),
        has_tls=True,
        user="broker",
        database=2,
    ),
    "redis://[::1]:7000/": RedisPlace(name="redis://[::1]:7000/", hosts=(("::1", 7000),)),
    "unix:///run/redis.sock": RedisPlace(name="unix:///run/redis.sock", socket="/run/redis.sock"),
    "rediss+sentinel://a,b:27000/main/1": RedisPlace(
        name="rediss+sentinel://a,b:27000/main/1",
        topology=Topology.SENTINEL,
        hosts=(("a", 26379), ("b", 27000)),
        has_tls=True,
        service="main",
        database=1,
    ),
    "redis+cluster://a,b": RedisPlace(
        name="redis+cluster://a,b", topology=Topology.CLUSTER, hosts=(("a", 6379), ("b", 6379))
    ),
}
REFUSED = [
    "",
    "redis://",
    "http://a",
    "redis:a",
    "redis://a,b",
    "redis://a/x",
    "redis://a/1/2",
    "redis://a/99999",
    "redis://a:99999",
    "redis://a?db=1",
    "redis+sentinel://a",
    "redis+sentinel:///main",
    "redis+cluster://a/1",
    "redis+other://a",
    "redis+cluster://" + ",".join(["a"] * 17),
    "unix://relative",
    "redis://a b",
    "redis://a\n",
]


@pytest.mark.parametrize("url", list(TAKEN))
def test_a_url_is_taken_apart(url: str) -> None:
    assert RedisPlace.of(url) == TAKEN[url]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|is a number"):
        RedisPlace.of(url)


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("url", ["redis://:hunter2@a", "rediss://user:hunter2@a/0", "redis+cluster://u:hunter2@a,b"])
def test_a_password_in_it_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="redis_password_file") as refused:
        RedisPlace.of(url)
    assert "hunter2" not in str(refused.value)
