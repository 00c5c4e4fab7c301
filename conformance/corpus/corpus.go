package corpus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// Corpus is all of it, in the order of the file names and within the files.
type Corpus struct {
	Requests  []*Request
	Responses []*Response
}

// Load reads requests/*.yaml and responses/*.yaml below dir. Errors name the
// file and the case.
func Load(dir string) (*Corpus, error) {
	c := new(Corpus)
	names := map[string]string{}
	err := each(filepath.Join(dir, "requests"), func(topic string, r *Request) error {
		r.Topic = topic
		c.Requests = append(c.Requests, r)
		return claim(names, "request", topic, r.Name, r.RFC, r.check())
	})
	if err != nil {
		return nil, err
	}
	err = each(filepath.Join(dir, "responses"), func(topic string, r *Response) error {
		r.Topic = topic
		c.Responses = append(c.Responses, r)
		return claim(names, "response", topic, r.Name, r.RFC, r.check())
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// claim refuses a case that is wrong by itself or named like another one.
func claim(names map[string]string, kind, topic, name, rfc string, err error) error {
	where := kind + " " + topic + "/" + name
	switch first, taken := names[kind+name]; {
	case name == "" || rfc == "":
		return fmt.Errorf("%s: every case has a name and an rfc", where)
	case taken:
		return fmt.Errorf("%s: named like %s", where, first)
	case err != nil:
		return fmt.Errorf("%s: %w", where, err)
	}
	names[kind+name] = where
	return nil
}

// each decodes every case of a directory's files.
func each[T any](dir string, f func(topic string, c *T) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no *.yaml: is the working directory the one this path is relative to?", dir)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var cases []*T
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&cases); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		topic := strings.TrimSuffix(filepath.Base(file), ".yaml")
		for _, c := range cases {
			if err := f(topic, c); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}
