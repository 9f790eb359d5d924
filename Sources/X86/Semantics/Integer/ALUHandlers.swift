// The handlers of the two-operand ALU instructions and of INC, DEC, NEG, NOT. C function pointers cannot be formed from
// generic functions, so each instruction lists its shapes; what they do is in `ALU.swift`.

import CPrimitives

private func addGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Add>.self) }

func addHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Add.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Add.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Add.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Add.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Add.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Add.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, Add.self, UInt8.self, addGeneral) }
    case .load32: { s, i in FastALU.load(s, i, Add.self, UInt32.self, addGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Add.self, UInt64.self, addGeneral) }
    case .store8: { s, i in FastALU.store(s, i, Add.self, UInt8.self, addGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Add.self, UInt32.self, addGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Add.self, UInt64.self, addGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Add.self, UInt8.self, addGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Add.self, UInt32.self, addGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Add.self, UInt64.self, addGeneral) }
    default: { s, i in addGeneral(s, i) }
    }
}

private func orGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Or>.self) }

func orHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Or.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Or.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Or.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Or.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Or.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Or.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, Or.self, UInt8.self, orGeneral) }
    case .load32: { s, i in FastALU.load(s, i, Or.self, UInt32.self, orGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Or.self, UInt64.self, orGeneral) }
    case .store8: { s, i in FastALU.store(s, i, Or.self, UInt8.self, orGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Or.self, UInt32.self, orGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Or.self, UInt64.self, orGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Or.self, UInt8.self, orGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Or.self, UInt32.self, orGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Or.self, UInt64.self, orGeneral) }
    default: { s, i in orGeneral(s, i) }
    }
}

private func adcGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Adc>.self) }

func adcHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers32: { s, i in FastALU.registers(s, i, Adc.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Adc.self, UInt64.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Adc.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Adc.self, UInt64.self) }
    case .load32: { s, i in FastALU.load(s, i, Adc.self, UInt32.self, adcGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Adc.self, UInt64.self, adcGeneral) }
    default: { s, i in adcGeneral(s, i) }
    }
}

private func sbbGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Sbb>.self) }

func sbbHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers32: { s, i in FastALU.registers(s, i, Sbb.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Sbb.self, UInt64.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Sbb.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Sbb.self, UInt64.self) }
    case .load32: { s, i in FastALU.load(s, i, Sbb.self, UInt32.self, sbbGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Sbb.self, UInt64.self, sbbGeneral) }
    default: { s, i in sbbGeneral(s, i) }
    }
}

private func andGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<And>.self) }

func andHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, And.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, And.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, And.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, And.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, And.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, And.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, And.self, UInt8.self, andGeneral) }
    case .load32: { s, i in FastALU.load(s, i, And.self, UInt32.self, andGeneral) }
    case .load64: { s, i in FastALU.load(s, i, And.self, UInt64.self, andGeneral) }
    case .store8: { s, i in FastALU.store(s, i, And.self, UInt8.self, andGeneral) }
    case .store32: { s, i in FastALU.store(s, i, And.self, UInt32.self, andGeneral) }
    case .store64: { s, i in FastALU.store(s, i, And.self, UInt64.self, andGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, And.self, UInt8.self, andGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, And.self, UInt32.self, andGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, And.self, UInt64.self, andGeneral) }
    default: { s, i in andGeneral(s, i) }
    }
}

private func subGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Sub>.self) }

func subHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Sub.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Sub.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Sub.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Sub.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Sub.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Sub.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, Sub.self, UInt8.self, subGeneral) }
    case .load32: { s, i in FastALU.load(s, i, Sub.self, UInt32.self, subGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Sub.self, UInt64.self, subGeneral) }
    case .store8: { s, i in FastALU.store(s, i, Sub.self, UInt8.self, subGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Sub.self, UInt32.self, subGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Sub.self, UInt64.self, subGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Sub.self, UInt8.self, subGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Sub.self, UInt32.self, subGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Sub.self, UInt64.self, subGeneral) }
    default: { s, i in subGeneral(s, i) }
    }
}

private func xorGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Xor>.self) }

func xorHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Xor.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Xor.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Xor.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Xor.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Xor.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Xor.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, Xor.self, UInt8.self, xorGeneral) }
    case .load32: { s, i in FastALU.load(s, i, Xor.self, UInt32.self, xorGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Xor.self, UInt64.self, xorGeneral) }
    case .store8: { s, i in FastALU.store(s, i, Xor.self, UInt8.self, xorGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Xor.self, UInt32.self, xorGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Xor.self, UInt64.self, xorGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Xor.self, UInt8.self, xorGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Xor.self, UInt32.self, xorGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Xor.self, UInt64.self, xorGeneral) }
    default: { s, i in xorGeneral(s, i) }
    }
}

private func cmpGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Cmp>.self) }

func cmpHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Cmp.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Cmp.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Cmp.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Cmp.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Cmp.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Cmp.self, UInt64.self) }
    case .load8: { s, i in FastALU.load(s, i, Cmp.self, UInt8.self, cmpGeneral) }
    case .load32: { s, i in FastALU.load(s, i, Cmp.self, UInt32.self, cmpGeneral) }
    case .load64: { s, i in FastALU.load(s, i, Cmp.self, UInt64.self, cmpGeneral) }
    case .store8: { s, i in FastALU.store(s, i, Cmp.self, UInt8.self, cmpGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Cmp.self, UInt32.self, cmpGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Cmp.self, UInt64.self, cmpGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Cmp.self, UInt8.self, cmpGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Cmp.self, UInt32.self, cmpGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Cmp.self, UInt64.self, cmpGeneral) }
    default: { s, i in cmpGeneral(s, i) }
    }
}

private func testGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Binary<Test>.self) }

func testHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in FastALU.registers(s, i, Test.self, UInt8.self) }
    case .registers32: { s, i in FastALU.registers(s, i, Test.self, UInt32.self) }
    case .registers64: { s, i in FastALU.registers(s, i, Test.self, UInt64.self) }
    case .immediate8: { s, i in FastALU.immediate(s, i, Test.self, UInt8.self) }
    case .immediate32: { s, i in FastALU.immediate(s, i, Test.self, UInt32.self) }
    case .immediate64: { s, i in FastALU.immediate(s, i, Test.self, UInt64.self) }
    case .store8: { s, i in FastALU.store(s, i, Test.self, UInt8.self, testGeneral) }
    case .store32: { s, i in FastALU.store(s, i, Test.self, UInt32.self, testGeneral) }
    case .store64: { s, i in FastALU.store(s, i, Test.self, UInt64.self, testGeneral) }
    case .memoryImmediate8: { s, i in FastALU.memoryImmediate(s, i, Test.self, UInt8.self, testGeneral) }
    case .memoryImmediate32: { s, i in FastALU.memoryImmediate(s, i, Test.self, UInt32.self, testGeneral) }
    case .memoryImmediate64: { s, i in FastALU.memoryImmediate(s, i, Test.self, UInt64.self, testGeneral) }
    default: { s, i in testGeneral(s, i) }
    }
}

func incHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .register32: { s, i in FastALU.register(s, i, Inc.self, UInt32.self) }
    case .register64: { s, i in FastALU.register(s, i, Inc.self, UInt64.self) }
    default: { s, i in execute(s, i, Unary<Inc>.self) }
    }
}

func decHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .register32: { s, i in FastALU.register(s, i, Dec.self, UInt32.self) }
    case .register64: { s, i in FastALU.register(s, i, Dec.self, UInt64.self) }
    default: { s, i in execute(s, i, Unary<Dec>.self) }
    }
}

func negHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .register32: { s, i in FastALU.register(s, i, Neg.self, UInt32.self) }
    case .register64: { s, i in FastALU.register(s, i, Neg.self, UInt64.self) }
    default: { s, i in execute(s, i, Unary<Neg>.self) }
    }
}
