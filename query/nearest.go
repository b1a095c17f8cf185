package query

// Nearest returns the candidate that somebody who wrote written is likely to
// have meant, "" if none. The API offers it where a parameter is unknown, as
// filters and dimensions offer it for their words.
func Nearest(written string, candidates []string) string { return nearest(written, candidates) }
