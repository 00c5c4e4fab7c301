// Package source reads policies from a directory and says when they may have
// changed, and keeps the last good policy on disk.
//
//	dir := source.NewDir("/etc/lb/policies", source.Options{Logger: logger})
//	dir.Start()
//	defer dir.Close()
//	files, err := dir.Read(ctx)
//	for range dir.Changed() {
//		files, err = dir.Read(ctx)
//	}
//
// # What is watched
//
// The ways in which a directory of policies changes differ: an editor writes in
// place or renames over; a Kubernetes ConfigMap volume swaps its `..data`
// symbolic link and deletes what it pointed to; git-sync swaps a symbolic link
// of the path itself; a mount appears where there was nothing. A watch follows
// an inode, not a name, so a watch on one file is dead after most of these. So
// [Dir] watches directories: the policy directory, the directory of every
// symbolic link on the way to it and to its files, and the nearest existing
// ancestor of what is missing. Any event means "maybe": the watches are looked
// over and [Dir.Changed] delivers, once things were quiet for a moment. What
// really changed is for the reader to find out, by content.
//
// File systems that tell nothing (NFS, SMB, FUSE) and watches that cannot be
// had (a limit is reached) are covered by polling.
//
// # Ordering
//
// The watches stand before [Dir.Start] returns, and are renewed before Changed
// delivers. So whatever changes during or after a Read makes Changed deliver
// again: the last state of any number of changes is always seen.
//
// One goroutine watches, and a second one takes the library's errors so that they
// hold nothing up; [Dir.Close] joins both. Neither reads a file, so a slow policy
// load holds up nothing, and the channel of Changed holds one delivery, so a
// reader that is away costs nothing.
package source
