// Package session keeps a client at one endpoint.
package session
