// A module of its own, so that the project does not depend on the peer.
module github.com/minamo-flow/minamo/bench/decode

go 1.26.0

require (
	github.com/minamo-flow/minamo v0.0.0
	github.com/netsampler/goflow2/v2 v2.2.6
)

require google.golang.org/protobuf v1.36.12 // indirect

replace github.com/minamo-flow/minamo => ../..
