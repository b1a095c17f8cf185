// Package e2e tests Minamo as a person would meet it: the built binary, real
// exporters (softflowd, Open vSwitch), recorded exports of real devices, a
// real browser; and beside it nfcapd, which gets the same datagrams and whose
// totals must be ours.
//
// `make test` runs it. It needs the programs that scripts/install names, and
// root for network namespaces and the small file system that fills up. What
// is missing skips its tests loudly; with CI=true it fails them. The tests
// poll with deadlines and judge no speed. Traffic stays on the loopback
// interface and in namespaces that the tests make and remove.
//
// The binary under test is $MINAMO, or else built from the checkout.
package e2e
