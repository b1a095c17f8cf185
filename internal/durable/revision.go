package durable

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Revision names a content: who has read it can tell by its name whether it has
// changed since. The content is such as can be written as JSON.
func Revision(content any) string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(content); err != nil {
		return "" // it could not be kept in a file either
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
