package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// connections is how many a server gets at most, apart from those that watch.
const connections = 32

// What go-redis would log is also returned as errors; its logger is of the whole
// process, and writes to standard error.
func init() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// client returns a client of go-redis. It opens nothing yet.
func (s *Store) client(p place) redis.UniversalClient {
	o := &redis.UniversalOptions{
		Addrs:            p.addrs,
		DB:               p.db,
		Username:         p.user,
		Password:         p.password,
		MasterName:       p.master,
		SentinelUsername: p.sentinelUser,
		SentinelPassword: p.sentinelPassword,
		Dialer:           s.dialer(p),

		// RESP2: answers are all that is read. A newer protocol has servers send other
		// things too, for features that are not used here and cost commands.
		Protocol:        2,
		DisableIdentity: true,

		// One dial, and one more try at once: a connection that lay idle may have died
		// with the server that has been restarted or replaced since. All of it is
		// within callTimeout.
		DialTimeout:           dialTimeout,
		DialerRetries:         1,
		MaxRetries:            1,
		MinRetryBackoff:       -1,
		MaxRetryBackoff:       -1,
		ReadTimeout:           callTimeout,
		WriteTimeout:          callTimeout,
		ContextTimeoutEnabled: true,

		PoolSize:         connections,
		PoolTimeout:      callTimeout,
		PipelinePoolSize: -1,
		ConnMaxIdleTime:  5 * time.Minute,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,

		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch p.form {
	case formCluster:
		c := o.Cluster()
		c.MaxRetries = -1 // the nodes' clients leave trying again to the cluster's
		c.MaxRedirects = 3
		c.DisableRoutingPolicies = true // they cost the command COMMAND, and the right to it
		// A node that replaces another is found by asking; a MOVED tells at once.
		c.ClusterStateReloadInterval = 5 * time.Second
		return redis.NewClusterClient(c)
	case formSentinel:
		return redis.NewFailoverClient(o.Failover())
	}
	return redis.NewClient(o.Simple())
}
