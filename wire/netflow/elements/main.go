// Command elements writes wire/netflow's table of information elements from
// the lists in its own directory. Run it by `go generate ./wire/netflow`.
//
// With -iana it first renews iana.csv from the registry's XML form, which
// https://www.iana.org/assignments/ipfix/ipfix.xml holds.
package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	from := flag.String("from", "elements", "directory of the lists")
	to := flag.String("to", "registry_table.go", "Go file to write")
	iana := flag.String("iana", "", "IANA's ipfix.xml, to renew iana.csv from")
	flag.Parse()
	if *iana != "" {
		renew(*iana, filepath.Join(*from, "iana.csv"))
	}
	files, err := filepath.Glob(filepath.Join(*from, "*.csv"))
	check(err)
	var elements, enterprises [][]string
	for _, file := range files {
		rows := read(file)
		if filepath.Base(file) == "enterprises.csv" {
			enterprises = rows
		} else {
			elements = append(elements, rows...)
		}
	}
	check(os.WriteFile(*to, table(enterprises, elements), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// read returns the rows of a list below its heading.
func read(file string) [][]string {
	f, err := os.Open(file)
	check(err)
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		log.Fatalf("%s: %v", file, err)
	}
	return rows[1:]
}

func table(enterprises, elements [][]string) []byte {
	byNumber := func(a, b []string) int {
		for i := range 2 {
			x, errX := strconv.ParseUint(a[i], 10, 32)
			y, errY := strconv.ParseUint(b[i], 10, 32)
			if errX != nil || errY != nil {
				return strings.Compare(a[i], b[i])
			}
			if x != y {
				return int(x) - int(y)
			}
		}
		return 0
	}
	slices.SortFunc(enterprises, byNumber)
	slices.SortFunc(elements, byNumber)

	var b bytes.Buffer
	b.WriteString("// Code generated from the lists in elements/: DO NOT EDIT.\n\npackage netflow\n\n")
	b.WriteString("// enterprises and registry are sorted: see enterprise and Lookup.\n")
	b.WriteString("var enterprises = [...]enterprise{\n")
	for _, e := range enterprises {
		fmt.Fprintf(&b, "{%s, %q, %q},\n", e[0], e[1], e[2])
	}
	b.WriteString("}\n\nvar registry = [...]Information{\n")
	for _, e := range elements {
		fmt.Fprintf(&b, "{%s, %s, %s, %s, %s, %t, %q},\n", e[0], e[1],
			constant("Type", e[3]), constant("Semantics", e[4]), constant("Units", e[5]), e[6] == "deprecated", e[2])
	}
	b.WriteString("}\n")
	source, err := format.Source(b.Bytes())
	check(err)
	return source
}

// constant is the name of the Go constant for a registry's word: TypeUnsigned64.
func constant(prefix, word string) string {
	if word == "" {
		return "0"
	}
	if word == "4-octet words" {
		word = "words"
	}
	return prefix + strings.ToUpper(word[:1]) + word[1:]
}

// renew writes IANA's elements as a list.
func renew(from, to string) {
	type record struct {
		ID        string `xml:"elementId"`
		Name      string `xml:"name"`
		Type      string `xml:"dataType"`
		Semantics string `xml:"dataTypeSemantics"`
		Units     string `xml:"units"`
		Status    string `xml:"status"`
	}
	var doc struct {
		Updated  string `xml:"updated"`
		Registry []struct {
			ID      string   `xml:"id,attr"`
			Records []record `xml:"record"`
		} `xml:"registry"`
	}
	text, err := os.ReadFile(from)
	check(err)
	check(xml.Unmarshal(text, &doc))

	var b bytes.Buffer
	fmt.Fprintf(&b, "# Origin: IANA registry \"IPFIX Information Elements\", last updated %s.\n", doc.Updated)
	w := csv.NewWriter(&b)
	w.Write([]string{"pen", "id", "name", "type", "semantics", "units", "status"})
	for _, r := range doc.Registry {
		if r.ID != "ipfix-information-elements" {
			continue
		}
		for _, e := range r.Records {
			if e.Type == "" || e.Name == "" { // reserved, or not assigned
				continue
			}
			if e.Semantics == "default" {
				e.Semantics = ""
			}
			if e.Status == "current" {
				e.Status = ""
			}
			w.Write([]string{"0", e.ID, strings.TrimSpace(e.Name), e.Type, e.Semantics, e.Units, e.Status})
		}
	}
	w.Flush()
	check(w.Error())
	check(os.WriteFile(to, b.Bytes(), 0o644))
}
