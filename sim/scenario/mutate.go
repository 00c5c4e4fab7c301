package scenario

import (
	"fmt"

	"go-loadbalancer/lb/schema"
)

// Mutate returns the files of a policy as a mutation has them. Where the policy left a
// field out, it is added. The result may be no valid policy. It fails if a path leads to
// no item of the policy, or if a file is not YAML.
func Mutate(files map[string][]byte, m Mutation) (map[string][]byte, error) {
	for _, a := range m.Set {
		path, err := schema.ParsePath(a.Path)
		if err != nil {
			return nil, fmt.Errorf("mutation %s: %w", m.Name, err)
		}
		if files, err = schema.Set(files, path, a.Value); err != nil {
			return nil, fmt.Errorf("mutation %s: %w", m.Name, err)
		}
	}
	return files, nil
}
