// A Linux boot image of 1.5 KiB: a valid setup header, and 64-bit code that writes 42 to the exit port.

/// A bzImage as small as can be (The Linux/x86 Boot Protocol).
struct TinyKernel {
    /// The longest command line that it takes, in bytes.
    static let commandLineLimit = 255
    /// The header's end: no shorter file is a kernel.
    static let headerEnd = 0x268

    /// The file.
    static let image: [UInt8] = {
        var image = [UInt8](repeating: 0, count: 1024 + 0x400)
        func set(_ offset: Int, _ bytes: UInt8...) { image.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
        func setLong(_ offset: Int, _ value: UInt32) {
            for byte in 0..<4 { image[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
        }
        set(0x1f1, 1)  // setup_sects
        setLong(0x1f4, 0x400 / 16)  // syssize, in paragraphs
        set(0x1fe, 0x55, 0xaa)  // boot_flag
        set(0x200, 0xeb, 0x66)  // jump over the header, which ends at 0x268
        set(0x202, 0x48, 0x64, 0x72, 0x53)  // "HdrS"
        set(0x206, 0x0f, 0x02)  // version 2.15
        set(0x211, 0x01)  // loadflags: LOADED_HIGH
        setLong(0x214, 0x10_0000)  // code32_start
        setLong(0x22c, 0x7fff_ffff)  // initrd_addr_max
        setLong(0x230, 0x20_0000)  // kernel_alignment
        set(0x234, 1)  // relocatable_kernel
        set(0x235, 21)  // min_alignment
        set(0x236, 0x01)  // xloadflags: XLF_KERNEL_64
        setLong(0x238, UInt32(commandLineLimit))  // cmdline_size
        setLong(0x258, 0x100_0000)  // pref_address
        setLong(0x260, 0x1000)  // init_size
        // The 64-bit entry point lies 0x200 into the kernel: mov al, 42; out 0xf4, al; hlt
        set(1024 + 0x200, 0xb0, 0x2a, 0xe6, 0xf4, 0xf4)
        return image
    }()
}
