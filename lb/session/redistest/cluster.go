package redistest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// slots is how many a cluster has.
const slots = 16384

// Cluster is three masters, each of a third of the slots. The rest serve on when one
// is lost.
type Cluster struct {
	Nodes []*Server

	options Options
}

// StartCluster starts the nodes, in subdirectories. The options are those of each
// node, without TLS.
func StartCluster(dir string, o Options) (_ *Cluster, err error) {
	c := &Cluster{options: o}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	o.Args = append(o.Args[:len(o.Args):len(o.Args)],
		"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
	for range 3 {
		if err := add(&c.Nodes, dir, "node", func(dir string) (*Server, error) { return Start(dir, o) }); err != nil {
			return nil, err
		}
	}
	for i, node := range c.Nodes {
		share := []string{"CLUSTER", "ADDSLOTS"}
		for slot := range slots {
			if c.owner(slot) == node {
				share = append(share, strconv.Itoa(slot))
			}
		}
		if _, err := node.Do(share...); err != nil {
			return nil, err
		}
		if _, err := node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return nil, err
		}
		if _, err := c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", node.Port); err != nil {
			return nil, err
		}
	}
	return c, await("the nodes know each other", func() (bool, error) {
		for _, node := range c.Nodes {
			info, err := node.Do("CLUSTER", "INFO")
			text, _ := info.(string)
			if !strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, "cluster_slots_ok:"+strconv.Itoa(slots)) ||
				!strings.Contains(text, "cluster_known_nodes:"+strconv.Itoa(len(c.Nodes))) {
				return false, err
			}
		}
		return true, nil
	})
}

// owner is the node that a slot belongs to at first.
func (c *Cluster) owner(slot int) *Server { return c.Nodes[slot*len(c.Nodes)/slots] }

// Owner is the node that a key belongs to, unless its slot was moved.
func (c *Cluster) Owner(key string) (*Server, error) {
	slot, err := c.slot(key)
	if err != nil {
		return nil, err
	}
	return c.owner(slot), nil
}

// slot is the slot of a key.
func (c *Cluster) slot(key string) (int, error) {
	answer, err := c.Nodes[len(c.Nodes)-1].Do("CLUSTER", "KEYSLOT", key)
	slot, _ := answer.(int64)
	return int(slot), err
}

// Move begins to move the slot of a key to a node, and moves the key if it is there.
// Until the returned function has ended the move, the slot's owner sends clients to
// that node with ASK for what it no longer has, and with MOVED from then on.
func (c *Cluster) Move(key string, to *Server) (end func() error, err error) {
	number, err := c.slot(key)
	if err != nil {
		return nil, err
	}
	from, slot := c.owner(number), strconv.Itoa(number)
	ids := map[*Server]string{}
	for _, node := range []*Server{from, to} {
		id, err := node.Do("CLUSTER", "MYID")
		if err != nil {
			return nil, err
		}
		ids[node] = fmt.Sprint(id)
	}
	if _, err := to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]); err != nil {
		return nil, err
	}
	if _, err := from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]); err != nil {
		return nil, err
	}
	if err := c.migrate(from, to, key); err != nil {
		return nil, err
	}
	return func() error {
		// The node gives nothing away of which it has a key: others may have one in the slot.
		for {
			left, err := from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100")
			if err != nil {
				return err
			}
			keys, ok := left.([]any)
			if !ok {
				return fmt.Errorf("CLUSTER GETKEYSINSLOT answers %v", left)
			}
			if len(keys) == 0 {
				break
			}
			for _, key := range keys {
				if err := c.migrate(from, to, fmt.Sprint(key)); err != nil {
					return err
				}
			}
		}
		for _, node := range []*Server{to, from} {
			if _, err := node.Do("CLUSTER", "SETSLOT", slot, "NODE", ids[to]); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// migrate moves a key, if it is there.
func (c *Cluster) migrate(from, to *Server, key string) error {
	move := []string{"MIGRATE", "127.0.0.1", to.Port, key, "0", "5000"}
	if c.options.Password != "" {
		move = append(move, "AUTH", c.options.Password)
	}
	_, err := from.Do(move...)
	return err
}

// URL is where clients find the cluster.
func (c *Cluster) URL() string {
	u := url.URL{Scheme: "redis+cluster"}
	if c.options.Password != "" {
		u.User = url.UserPassword("", c.options.Password)
	}
	var hosts []string
	for _, node := range c.Nodes {
		hosts = append(hosts, node.Addr())
	}
	u.Host = strings.Join(hosts, ",")
	return u.String()
}

// Stop ends all nodes.
func (c *Cluster) Stop() {
	for _, node := range c.Nodes {
		node.Stop()
	}
}
