package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"
)

// answer is what a question's handler returns: it can be JSON, or a table.
type answer interface {
	table() *table
	how() *Meta // how it was come by
}

// forms registers an operation whose answer can be had in several forms.
func forms[I any, PI interface {
	*I
	format() string
}, O answer](api huma.API, op huma.Operation, handler func(context.Context, *I) (O, error)) {
	op.Responses = map[string]*huma.Response{"200": responses(api, reflect.TypeFor[O]())}
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			e := chosen(PI(in).format(), ctx.Header("Accept"))
			ctx.SetHeader("Vary", "Accept")
			out.how().headers(ctx.SetHeader)
			if e == nil {
				ctx.SetHeader("Content-Type", "application/json")
				ctx.SetStatus(http.StatusOK)
				finished(writeJSON(ctx.BodyWriter(), out))
				return
			}
			t := out.table()
			e.describe(ctx, t)
			ctx.SetStatus(http.StatusOK)
			w := bufio.NewWriterSize(ctx.BodyWriter(), 1<<16)
			if finished(e.write(w, t)) {
				finished(w.Flush())
			}
		}}, nil
	})
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // it is never part of a page, and SQL is full of <
	return e.Encode(v)
}

// headOnly answers HEAD requests for answers in several forms, without asking
// for what would be thrown away. Programs send them before they read a file.
func headOnly(ctx huma.Context, next func(huma.Context)) {
	ok := ctx.Operation().Responses["200"]
	if ctx.Method() != http.MethodHead || ok == nil || ok.Content[encodings[0].mime] == nil {
		next(ctx)
		return
	}
	mime := "application/json"
	if e := chosen(ctx.Query("format"), ctx.Header("Accept")); e != nil {
		mime = e.mime
	}
	ctx.SetHeader("Content-Type", mime)
	ctx.SetHeader("Vary", "Accept")
	ctx.SetStatus(http.StatusOK)
}

// describe sets the headers of a file.
func (e *encoding) describe(ctx huma.Context, t *table) {
	ctx.SetHeader("Content-Type", e.mime)
	ctx.SetHeader("Content-Disposition", fmt.Sprintf("attachment; filename=%q", t.name+e.ending))
}

// finished breaks the connection off where an answer could not be written to
// its end: nobody may take a part for the whole.
func finished(err error) bool {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return true
}

// responses describes the forms of an answer.
func responses(api huma.API, body reflect.Type) *huma.Response {
	content := map[string]*huma.MediaType{
		"application/json": {Schema: huma.SchemaFromType(api.OpenAPI().Components.Schemas, body)},
	}
	for _, e := range encodings {
		content[e.mime] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	headers := map[string]*huma.Param{}
	new(Meta).headers(func(name, _ string) {
		headers[name] = &huma.Param{Schema: &huma.Schema{Type: huma.TypeString}, Description: "As in the meta of the JSON form"}
	})
	return &huma.Response{Description: "The answer, as format or Accept asks for it", Content: content, Headers: headers}
}

// chosen is the encoding that a parameter or a header asks for; nil is JSON,
// which is also for those who ask for nothing we have.
func chosen(format, accept string) *encoding {
	mimes := []string{"application/json"}
	for i := range encodings {
		if encodings[i].name == format {
			return &encodings[i]
		}
		mimes = append(mimes, encodings[i].mime)
	}
	if format != "" {
		return nil
	}
	mime := negotiation.SelectQValueFast(accept, mimes)
	for i := range encodings {
		if encodings[i].mime == mime {
			return &encodings[i]
		}
	}
	return nil
}
