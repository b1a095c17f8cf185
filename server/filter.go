package server

import (
	"context"
	"errors"

	"github.com/minamo-flow/minamo/query"
)

type filterInput struct {
	Filter string `query:"filter" doc:"The filter to check"`
}

type filterOutput struct{ Body FilterCheck }

// FilterCheck says whether a filter is right, or what is wrong where.
type FilterCheck struct {
	OK       bool   `json:"ok"`
	Column   int    `json:"column,omitempty" doc:"Of the wrong word, from 1"`
	Word     string `json:"word,omitempty" doc:"The wrong word; empty at the end of the filter"`
	Expected string `json:"expected,omitempty" doc:"What should stand there"`
	Message  string `json:"message,omitempty" doc:"All of it in a sentence"`
}

func (s *Server) filter(_ context.Context, in *filterInput) (*filterOutput, error) {
	_, err := query.ParseFilter(in.Filter)
	var wrong *query.FilterError
	if !errors.As(err, &wrong) {
		return &filterOutput{FilterCheck{OK: true}}, nil
	}
	return &filterOutput{FilterCheck{Column: wrong.Column, Word: wrong.Word, Expected: wrong.Expected, Message: wrong.Error()}}, nil
}
