package analyze

import "cellos.io/cellos/seccomp"

// liveness says which registers may still be read at each instruction.
func liveness(p seccomp.Program) []registers {
	live := make([]registers, len(p)+1)
	for pc := len(p) - 1; pc >= 0; pc-- {
		i := p[pc]
		var in registers
		next := live[pc+1]
		x := registers(0)
		if i.Code&0x08 != 0 {
			x = regX
		}
		switch i.Code & 0x07 {
		case 0, 1:
			in = next &^ registers(1+i.Code&0x07)
			if i.Code&0xe0 == 0x60 {
				in |= slot(i.K)
			}
		case 2, 3:
			in = next&^slot(i.K) | (registers(i.Code&0x07) - 1)
		case 4:
			in = next | regA | x
		case 5:
			if i.Code == 0x05 {
				in = live[pc+1+int(i.K)]
			} else {
				in = live[pc+1+int(i.JT)] | live[pc+1+int(i.JF)] | regA | x
			}
		case 6:
			if i.Code == 0x16 {
				in = regA
			}
		case 7:
			if i.Code == 0x07 {
				in = next&^regX | regA
			} else {
				in = next&^regA | regX
			}
		}
		live[pc] = in
	}
	return live
}
