// Package redisstore keeps the homes of sessions in Redis, so that all replicas
// of the balancer know them. It is the only package that speaks to Redis.
//
//	store, err := redisstore.New(redisstore.Options{URL: os.Getenv("LB_REDIS_URL"), Namespace: "shop"})
//	if err != nil {
//		return err // the URL is wrong; that Redis is away is no reason to fail
//	}
//	defer store.Close()
//
//	ctx, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
//	defer cancel()
//	home, err := store.Bind(ctx, "cart", ticket, picked, lifetime)
//
// # URLs
//
//	redis://user:password@host:6379/0          one server; user, password and database can be left out
//	redis://:password@host                     the password of the default user
//	rediss://host?ca_file=/etc/redis/ca.pem    the same over TLS
//	unix:///run/redis.sock?db=0                one server on this machine
//	redis+sentinel://user:password@s1:26379,s2:26379/0?master=shop
//	                                           whichever server these sentinels say is the primary
//	redis+cluster://user:password@n1:6379,n2:6379
//	                                           a cluster that these nodes are of
//
// rediss+sentinel and rediss+cluster are those over TLS, and a hyphen will do for the
// plus. What is special in a user or a password is percent-encoded. With TLS the
// options ca_file (else the CAs of the system), server_name (else each host's own
// name) and cert_file with key_file (our certificate) are to be had; with Sentinel
// sentinel_username and sentinel_password, if the sentinels ask for one: they do not
// get the servers'. There are no others: timeouts and limits are fixed, and there is
// no way not to verify a certificate.
//
// # What is kept
//
//	lb:v1:shop:home:cart:AAAAAAAAAAAAAAAAAAAAAA   "1 00000000000004d2", for as long as the session lasts
//	lb:v1:shop:key                                64 hex digits, for good: the key of [Store.Agree]
//	lb:v1:shop:rebound                            a channel; messages are cart:AAAAAAAAAAAAAAAAAAAAAA
//
// shop is the namespace and cart the pool, both percent-encoded; AA…AA is the session's
// id in base64url, 1 the version, and the rest the home. A session takes about 180
// bytes of Redis (with names as long as these, measured over 131072 of them). What cannot be read, because it is of
// a newer version or of somebody else, is never overwritten.
//
// Every command is about one key, so a cluster spreads them evenly. The number of
// commands: Find, Bind of a new session, Rebind and Touch 1; Bind of a session that
// has a home 2. Redis 6 and 7 will do.
//
// Let Redis evict by a volatile policy or none: one of allkeys could evict the key.
//
// # Rights
//
// A user needs no more than this (a cluster's and that of another database: the last
// lines too):
//
//	ACL SETUSER lb on >password resetkeys resetchannels -@all
//	  ~lb:v1:shop:* &lb:v1:shop:*
//	  +get +set +pexpire +eval +evalsha +publish +subscribe +ping
//	  +cluster|slots +asking
//	  +select
//
// and one of the sentinels, if they ask for a user, no more than
//
//	ACL SETUSER lb on >password resetchannels -@all
//	  &+switch-master &+replica-reconf-done
//	  +subscribe +ping +sentinel|get-master-addr-by-name +sentinel|sentinels
//
// # When Redis is away
//
// Every call returns when its ctx ends, whatever Redis does or does not, and after
// about a second if it has no deadline. What it asked goes on for up to that second
// and may take effect. At most 32 calls ask at a time; the others wait for one of them
// to end. [Store.Watch] tells within about two seconds that changes may be missed, and
// tries again at least once a second.
//
// # Ownership
//
// Each call has a goroutine of its own until Redis has answered. [Store.Close] joins
// them, and whoever watches. Two things of go-redis can outlast it for up to a second,
// asleep: what tried to reach the sentinels in vain, and what had just read the
// topology of a cluster.
package redisstore
