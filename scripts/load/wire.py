"""marimba.v1 over gRPC, out of the descriptors that `go generate ./proto` writes: no
code is generated for Python."""

import pathlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_DESCRIPTORS = pathlib.Path(__file__).with_name("marimba.binpb")
_SERVICE = "marimba.v1.Votes"


def _load():
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool


_pool = _load()


def message(name):
    """Returns the class of a message of marimba.v1."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"marimba.v1.{name}"))


Vote = message("Vote")
Receipt = message("Receipt")
CastManyRequest = message("CastManyRequest")
CastManyReply = message("CastManyReply")


def vote_of(vote, contest):
    """Returns the message of a vote."""
    return Vote(contest=contest, **vote)


class Door:
    """Calls of the gRPC door on a channel."""

    def __init__(self, channel):
        def call(method, reply):
            return channel.unary_unary(
                f"/{_SERVICE}/{method}",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=reply.FromString,
            )

        self.cast = call("Cast", Receipt)
        self.cast_many = call("CastMany", CastManyReply)
