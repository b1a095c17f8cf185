package geo

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/minamo-flow/minamo/flow"
)

// database is one file, read whole into memory: a file that is overwritten in
// place cannot hurt.
type database struct {
	reader    *maxminddb.Reader
	kind      string
	built     time.Time
	countries bool
	ases      bool
	names     map[uint32]string // of ASes
}

// place is what is known of an address; zero is not known.
type place struct {
	country uint16
	as      uint32
}

// record is what the makers of databases write of an address. MaxMind has the
// first four, DB-IP the same, IPinfo the last three.
type record struct {
	Country    country `maxminddb:"country"`
	Registered country `maxminddb:"registered_country"`
	ASN        uint32  `maxminddb:"autonomous_system_number"`
	Holder     string  `maxminddb:"autonomous_system_organization"`

	CountryCode string `maxminddb:"country_code"`
	ASText      string `maxminddb:"asn"`
	ASName      string `maxminddb:"as_name"`
}

type country struct {
	Code string `maxminddb:"iso_code"`
}

// load reads a file and goes through all of it once: what it knows, the names
// of ASes, and whether it is whole.
func load(path string) (*database, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader, err := maxminddb.OpenBytes(content)
	if err != nil {
		return nil, fmt.Errorf("%s: not a database in MaxMind's format: %w", path, err)
	}
	db := &database{reader: reader, kind: reader.Metadata.DatabaseType, built: reader.Metadata.BuildTime().UTC(), names: map[uint32]string{}}
	seen := map[uintptr]bool{} // many networks share a record
	for network := range reader.Networks() {
		if err := network.Err(); err != nil {
			return nil, fmt.Errorf("%s: damaged: %w", path, err)
		}
		if seen[network.Offset()] {
			continue
		}
		seen[network.Offset()] = true
		r, err := decode(network)
		if err != nil {
			return nil, fmt.Errorf("%s: damaged: %w", path, err)
		}
		p := r.place()
		db.countries = db.countries || p.country != 0
		db.ases = db.ases || p.as != 0
		if name := r.holder(); p.as != 0 && name != "" {
			db.names[p.as] = name
		}
	}
	if !db.countries && !db.ases {
		return nil, fmt.Errorf("%s: %s has neither countries nor AS numbers", path, db.kind)
	}
	return db, nil
}

// decode fails on a database that is damaged. IPinfo's country is a text where
// MaxMind's is a map: then only the other fields are asked.
func decode(result maxminddb.Result) (r record, err error) {
	if err = result.Decode(&r); err == nil {
		return r, nil
	}
	var flat struct {
		CountryCode string `maxminddb:"country_code"`
		ASText      string `maxminddb:"asn"`
		ASName      string `maxminddb:"as_name"`
	}
	if second := result.Decode(&flat); second != nil {
		return r, err
	}
	return record{CountryCode: flat.CountryCode, ASText: flat.ASText, ASName: flat.ASName}, nil
}

func (r *record) place() (p place) {
	for _, code := range []string{r.Country.Code, r.CountryCode, r.Registered.Code} {
		if len(code) == 2 && isLetter(code[0]) && isLetter(code[1]) {
			p.country = flow.Country(code[0], code[1])
			break
		}
	}
	if p.as = r.ASN; p.as == 0 {
		if n, err := strconv.ParseUint(strings.TrimPrefix(r.ASText, "AS"), 10, 32); err == nil {
			p.as = uint32(n)
		}
	}
	return p
}

func isLetter(b byte) bool { return 'A' <= b && b <= 'Z' }

func (r *record) holder() string {
	if r.Holder != "" {
		return r.Holder
	}
	return r.ASName
}
