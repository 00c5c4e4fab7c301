package app

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
)

// DefaultRedisNamespace is for what [Config] leaves out.
const DefaultRedisNamespace = "default"

// sessionStore opens the store that replicas share, if there is one. That connects to
// nothing yet.
func (a *app) sessionStore() (session.Shared, error) {
	if a.Redis == "" {
		return nil, nil
	}
	namespace := a.RedisNamespace
	if namespace == "" {
		namespace = DefaultRedisNamespace
	}
	store, err := redisstore.New(redisstore.Options{URL: a.Redis, Namespace: namespace, Logger: a.Logger})
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	a.atEnd(func() error { store.Close(); return nil })
	return store, nil
}

// cookieKeys reads the file of keys; none if there is no such file to be read.
func (c *Config) cookieKeys() ([]session.Key, error) {
	if c.CookieKeysFile == "" {
		return nil, nil
	}
	f, err := os.Open(c.CookieKeysFile)
	if err != nil {
		return nil, fmt.Errorf("cookie keys: %w", err)
	}
	defer f.Close()
	const most = 16 << 10
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = errors.New("the file is larger than 16 KiB: that is no file of keys")
	}
	if err != nil {
		return nil, fmt.Errorf("cookie keys: %s: %w", c.CookieKeysFile, err)
	}
	keys, err := session.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("cookie keys: %s: %w", c.CookieKeysFile, err)
	}
	return keys, nil
}

// rereadKeys puts the keys to use that the file has now.
func (a *app) rereadKeys() {
	if a.CookieKeysFile == "" {
		return
	}
	keys, err := a.cookieKeys()
	if err != nil {
		a.Logger.Error("the cookie keys stay as they were", "error", err)
		return
	}
	a.balancer.SetCookieKeys(keys)
	a.Logger.Info("cookie keys were read", "keys", len(keys), "first", keys[0].String())
}
