package pool

// randomDraws is how often Random draws before it looks at every member.
const randomDraws = 8

// pickRandom draws by weight, without regard to load.
func (c *choice) pickRandom(f *filter, rnd uint64) *Endpoint {
	for range randomDraws {
		if e := c.members[c.weights.pick(rnd)].Endpoint; f.admits(e) {
			return e
		}
		rnd = mix(rnd)
	}
	return nil
}
