package snmp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// Secret is a community or a password. Whatever prints or logs it prints
// something else.
type Secret string

const hidden = "(hidden)"

// String hides it.
func (s Secret) String() string { return hidden }

// GoString hides it from %#v.
func (s Secret) GoString() string { return hidden }

// LogValue hides it from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides it from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Access tells how devices are asked.
type Access struct {
	Exporters netip.Prefix // of whom
	Address   netip.Addr   // where a single exporter is asked, if not at its own address
	Port      uint16       // default 161
	Version   string       // "2c" or "3"; default is 3 where there is a user

	Community Secret // of 2c; default public

	// Of 3, the user-based security model (RFC 3414; RFC 7860 for SHA-2).
	User         string
	Auth         string // md5, sha, sha224, sha256, sha384, sha512; "" is none
	AuthPassword Secret
	Privacy      string // des, aes, aes192, aes256, aes192c, aes256c; "" is none
	PrivPassword Secret
	Context      string

	Repetitions uint32 // rows that are asked for at once; default 8
}

var (
	auths = map[string]gosnmp.SnmpV3AuthProtocol{
		"": gosnmp.NoAuth, "md5": gosnmp.MD5, "sha": gosnmp.SHA, "sha224": gosnmp.SHA224,
		"sha256": gosnmp.SHA256, "sha384": gosnmp.SHA384, "sha512": gosnmp.SHA512,
	}
	privacies = map[string]gosnmp.SnmpV3PrivProtocol{
		"": gosnmp.NoPriv, "des": gosnmp.DES, "aes": gosnmp.AES, "aes192": gosnmp.AES192, "aes256": gosnmp.AES256,
		"aes192c": gosnmp.AES192C, "aes256c": gosnmp.AES256C,
	}
)

func names[V any](of map[string]V) string {
	var list []string
	for name := range of {
		if name != "" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (a *Access) version() string {
	switch {
	case a.Version != "":
		return a.Version
	case a.User != "":
		return "3"
	}
	return "2c"
}

// Check tells what is wrong with it.
func (a *Access) Check() error {
	_, auth := auths[a.Auth]
	_, privacy := privacies[a.Privacy]
	single := a.Exporters.IsValid() && a.Exporters.IsSingleIP()
	switch {
	case !a.Exporters.IsValid():
		return errors.New("exporters is missing: an address or a prefix")
	case a.Address.IsValid() && !single:
		return errors.New("address: it is where a single exporter is asked, and exporters has many")
	case a.version() != "2c" && a.version() != "3":
		return fmt.Errorf("version: expected 2c or 3, found %q", a.Version)
	case a.Repetitions > 100:
		return errors.New("repetitions: expected 100 at most")
	case a.version() == "2c":
		if a.User != "" || a.Auth != "" || a.Privacy != "" || a.AuthPassword != "" || a.PrivPassword != "" || a.Context != "" {
			return errors.New("user, auth, privacy and context are of version 3")
		}
		return nil
	case a.User == "":
		return errors.New("user is missing")
	case a.Community != "":
		return errors.New("community is of version 2c")
	case !auth:
		return fmt.Errorf("auth: expected one of %s, found %q", names(auths), a.Auth)
	case !privacy:
		return fmt.Errorf("privacy: expected one of %s, found %q", names(privacies), a.Privacy)
	case a.Privacy != "" && a.Auth == "":
		return errors.New("privacy needs auth")
	case a.Auth != "" && len(a.AuthPassword) < 8:
		return errors.New("auth-password: 8 characters at least (RFC 3414)")
	case a.Privacy != "" && len(a.PrivPassword) < 8:
		return errors.New("privacy-password: 8 characters at least (RFC 3414)")
	}
	return nil
}

// connect opens a session with a device. Nothing is sent yet.
func (a *Access) connect(device netip.Addr, timeout time.Duration, retries int) (*gosnmp.GoSNMP, error) {
	if a.Address.IsValid() {
		device = a.Address
	}
	g := &gosnmp.GoSNMP{
		Target: device.String(), Port: a.Port, Timeout: timeout, Retries: retries,
		MaxOids: 64, Transport: "udp",
	}
	if g.Port == 0 {
		g.Port = 161
	}
	if a.version() == "2c" {
		g.Version, g.Community = gosnmp.Version2c, string(a.Community)
		if g.Community == "" {
			g.Community = "public"
		}
	} else {
		g.Version, g.SecurityModel, g.ContextName = gosnmp.Version3, gosnmp.UserSecurityModel, a.Context
		g.MsgFlags = gosnmp.NoAuthNoPriv
		if a.Auth != "" {
			g.MsgFlags = gosnmp.AuthNoPriv
		}
		if a.Privacy != "" {
			g.MsgFlags = gosnmp.AuthPriv
		}
		g.SecurityParameters = &gosnmp.UsmSecurityParameters{
			UserName:               a.User,
			AuthenticationProtocol: auths[a.Auth], AuthenticationPassphrase: string(a.AuthPassword),
			PrivacyProtocol: privacies[a.Privacy], PrivacyPassphrase: string(a.PrivPassword),
		}
	}
	return g, g.Connect()
}
