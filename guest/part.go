package guest

// A Part of a block device is a block device of its own, by whose number drives call it. A machine that was booted before anybody knew its
// images has one large disk; where on it they lie is told in CONFIG.
type Part struct {
	Serial string `json:"serial"` // by which drives call it
	Device string `json:"device"` // serial number of the whole device
	Start  int64  `json:"start"`  // bytes, a multiple of 4096
	Size   int64  `json:"size"`
}
