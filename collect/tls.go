package collect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS names the PEM files of tls:// addresses.
type TLS struct {
	Certificate string // with the chain up to the authority
	Key         string
	ClientCA    string // who must have signed an exporter's certificate; "" asks exporters for none
}

// Config reads the files.
func (t TLS) Config() (*tls.Config, error) {
	if t.Certificate == "" || t.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key: set collect.tls.certificate and collect.tls.key")
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", t.Certificate, t.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.ClientCA != "" {
		text, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, err
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no certificate in PEM form in it", t.ClientCA)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// certificates are the files' newest contents that are fit for use: renewed
// certificates count for connections from then on, without a restart.
type certificates struct {
	files TLS
	log   *slog.Logger

	mu      sync.Mutex
	config  *tls.Config
	changed [3]time.Time // when the files were
}

func newCertificates(files TLS, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, log: log}
	c.changed = c.times()
	var err error
	c.config, err = files.Config()
	return c, err
}

func (c *certificates) times() (t [3]time.Time) {
	for i, name := range [3]string{c.files.Certificate, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			t[i] = info.ModTime()
		}
	}
	return t
}

// current is the configuration for a new connection.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.times(); now != c.changed {
		c.changed = now
		if renewed, err := c.files.Config(); err != nil {
			c.log.Error("changed TLS files are not fit for use: the old ones stay", "error", err)
		} else {
			c.config = renewed
			c.log.Info("TLS files were read again", "certificate", c.files.Certificate)
		}
	}
	return c.config
}
