package document

import "strings"

func (c *checker) placement() {
	p := c.at.Field("placement")
	if q := c.spec.Placement; q != nil && *q == (Placement{}) && !c.Lost(p) {
		c.Add(p, "must have at least one of poolId, kubernetesNamespace and queueName")
	}
}

func (c *checker) identity() {
	id := c.spec.Identity
	if id == nil {
		return
	}
	p := c.at.Field("identity")
	lifetime := c.at.Field("lifetime").Field("ttlSeconds")
	if id.TTLSeconds != nil && *id.TTLSeconds > c.spec.Lifetime.TTLSeconds && !c.Lost(lifetime) {
		c.Add(p.Field("ttlSeconds"), "%d is above %s, which is %d", *id.TTLSeconds, lifetime, c.spec.Lifetime.TTLSeconds)
	}
	c.secretGranted(p.Field("secretRef"), id.SecretRef)
}

func (c *checker) run() {
	run := c.spec.Run
	if run == nil {
		return
	}
	if s := run.Seccomp; s != nil && s.FileDigest != nil && s.File == nil {
		c.Add(c.at.Field("run").Field("seccomp").Field("fileDigest"), "is the digest of a file, and file names none")
	}
	p := c.at.Field("run").Field("timeoutMs")
	lifetime := c.at.Field("lifetime").Field("ttlSeconds")
	// The product fits: the lifetime is at most 9223372036 seconds.
	if run.TimeoutMs != nil && *run.TimeoutMs > c.spec.Lifetime.TTLSeconds*1000 && !c.Lost(lifetime) {
		c.Add(p, "%d is above %s in milliseconds, which is %d", *run.TimeoutMs, lifetime, c.spec.Lifetime.TTLSeconds*1000)
	}
}

func (c *checker) telemetry() {
	t := c.spec.Telemetry
	if t == nil {
		return
	}
	events := c.at.Field("telemetry").Field("events")
	if len(c.spec.Authority.EgressRules) > 0 || c.Lost(c.egressRules) {
		return
	}
	for i, event := range t.Events {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(event)), "net.") {
			c.Add(events.Item(i), "network events need at least one rule in %s", c.egressRules)
		}
	}
}
