// Package quality keeps what is known of how well each exporter exports: a
// history by the minute, which minutes lack flows, which timers its cache runs
// with, and a score with a reason for every point that it lost.
//
// cmd/minamo runs a Recorder beside the collector; server asks it. Once a minute
// of the collector's clock the Recorder reads the collector's counters, and
// appends what moved to a file of the day: what a minute says outlives a crash
// a minute later. Judging (Assess, Lost, DetectTimers) is done when
// somebody asks, from those minutes alone, so that it is the same after a
// restart, and of the past.
//
//	minute.go    what is kept of a minute, and its form in a file
//	file.go      files of a day: appended, read, retained
//	recorder.go  once a minute
//	lost.go      intervals of known loss
//	timers.go    active and inactive timers
//	score.go     the score and its reasons
package quality
