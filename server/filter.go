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
	OK         bool   `json:"ok"`
	Column     int    `json:"column,omitempty" doc:"Of the wrong word, in characters from 1"`
	Word       string `json:"word,omitempty" doc:"The wrong word; empty at the end of the filter"`
	Expected   string `json:"expected,omitempty" doc:"What should stand there"`
	Reason     string `json:"reason,omitempty" doc:"Why a condition that is understood cannot be answered"`
	Suggestion string `json:"suggestion,omitempty" doc:"The word that was probably meant"`
	Message    string `json:"message,omitempty" doc:"All of it in a sentence"`
}

func (s *Server) filter(_ context.Context, in *filterInput) (*filterOutput, error) {
	_, err := query.ParseFilter(in.Filter)
	var wrong *query.FilterError
	if !errors.As(err, &wrong) {
		return &filterOutput{FilterCheck{OK: true}}, nil
	}
	return &filterOutput{FilterCheck{
		Column: wrong.Column, Word: wrong.Word, Expected: wrong.Expected, Reason: wrong.Reason, Suggestion: wrong.Suggestion,
		Message: wrong.Error(),
	}}, nil
}

type completeInput struct {
	Filter string `query:"filter" doc:"The filter as it is written so far"`
	At     int    `query:"at" default:"-1" doc:"Where the cursor is: characters before it; without it, at the end"`
}

type completeOutput struct{ Body Completion }

// Completion is what can stand at a position of a filter.
type Completion struct {
	From  int              `json:"from" doc:"First character, from 0, of what a word takes the place of"`
	To    int              `json:"to" doc:"Behind its last character"`
	Value string           `json:"value,omitempty" doc:"Kind of value that is expected, as in the reference of the language: number, address, text …"`
	Words []CompletionWord `json:"words" doc:"That can stand there, the usual ones first"`
}

// CompletionWord can stand in a filter.
type CompletionWord struct {
	Text string         `json:"text" doc:"As it is to be inserted"`
	Kind query.WordKind `json:"kind" enum:"condition,column,keyword,value"`
	Doc  string         `json:"doc,omitempty" doc:"A line about it"`
}

func (s *Server) complete(_ context.Context, in *completeInput) (*completeOutput, error) {
	at := in.At
	if at < 0 {
		at = len(in.Filter) // at least as many characters
	}
	c := query.Complete(in.Filter, at)
	out := &completeOutput{Completion{From: c.From, To: c.To, Value: c.Value, Words: make([]CompletionWord, len(c.Words))}}
	for i, w := range c.Words {
		out.Body.Words[i] = CompletionWord(w)
	}
	return out, nil
}
