// VGATHER and VPGATHER: loads of elements at vector indices, element by element. What was loaded before a fault stays,
// with its mask element cleared, so that the instruction goes on where it stopped; elements may be misaligned (SDM
// volume 2, VGATHERDPD and table 2-29).

import CPrimitives

/// The handler of a gather: 90…93, bit 0 of the opcode: 64-bit indices, W: 64-bit elements.
func gatherHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? {
    i.pointee.width = i.pointee.rex & 8 != 0 ? 8 : 4
    return gather
}

extension tz_instruction {
    /// Whether the operands are those of a gather: the destination, the mask and the index must be three different
    /// registers, and only a SIB byte can name an index, which 16-bit addressing has not.
    var isGather: Bool {
        let mask = isOutside64BitMode ? vvvv & 7 : vvvv
        return modrm & 7 == 4 && address_mask != 0xffff && reg != mask && reg != vectorIndex && mask != vectorIndex
    }

    /// The vector register that SIB.index names: the decoder keeps it as it keeps general registers, and 4 as none.
    package var vectorIndex: UInt8 { index == UInt8(TZ_ZERO_OFFSET) ? 4 : index >> 3 }
}

/// The shape of a gather.
package struct Gather {
    /// Bytes of an element and of an index.
    package let element: Int
    package let indexSize: Int
    package let count: Int
    /// The longer of elements and indices fill a YMM register.
    package let isLong: Bool

    package init(_ i: UnsafePointer<tz_instruction>) {
        element = Int(i.pointee.width)
        indexSize = i.pointee.opcode & 1 != 0 ? 8 : 4
        isLong = i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        count = (isLong ? 32 : 16) / max(element, indexSize)
    }
}

extension CPU {
    @inline(__always) fileprivate func loadElement<T: GuestInteger>(
        _ type: T.Type, _ linear: UInt64
    ) throws(GuestFault) -> T {
        if let host = fastReadPointer(linear, size: MemoryLayout<T>.size) { return T.load(host) }
        return T(truncatingIfNeeded: try loadPiece(linear, size: MemoryLayout<T>.size))
    }
}

private let gather: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let shape = Gather(i)
        let (element, indexSize, count) = (shape.element, shape.indexSize, shape.count)
        let indices = cpu.vector(i.pointee.vectorIndex)
        let mask = cpu.vector(i.pointee.vvvv)
        let destination = cpu.vector(i.pointee.reg)
        let base = cpu.register(i.pointee.base, as: UInt64.self)
        let displacement = UInt64(bitPattern: Int64(i.pointee.displacement))
        for n in 0..<count {
            let selector = mask + n * element
            if (selector + element - 1).load(as: UInt8.self) >= 0x80 {
                let index =
                    indexSize == 8
                    ? indices.load(fromByteOffset: n * 8, as: UInt64.self)
                    : UInt64(bitPattern: Int64(indices.load(fromByteOffset: n * 4, as: Int32.self)))
                let offset = (base &+ index << UInt64(i.pointee.scale) &+ displacement) & i.pointee.address_mask
                let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: element, .read)
                if element == 8 {
                    let value = try cpu.loadElement(UInt64.self, linear)
                    destination.storeBytes(of: value, toByteOffset: n * 8, as: UInt64.self)
                } else {
                    let value = try cpu.loadElement(UInt32.self, linear)
                    destination.storeBytes(of: value, toByteOffset: n * 4, as: UInt32.self)
                }
            }
            // Elements are passed in order; what selects those that were is 0.
            if element == 8 {
                selector.storeBytes(of: 0, as: UInt64.self)
            } else {
                selector.storeBytes(of: 0, as: UInt32.self)
            }
        }
        // The mask is cleared as a whole, and what lies above the last element.
        let used = count * element
        for offset in stride(from: 0, to: 32, by: 8) { mask.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self) }
        for offset in stride(from: used, to: 32, by: 8) {
            destination.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self)
        }
    }
}
