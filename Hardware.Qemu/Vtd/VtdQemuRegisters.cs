using PasidFramework.Hardware;

namespace PasidFramework.Qemu.Vtd;

/// <summary>
/// The registers over QTest. ECAP.PSS of QEMU 10.0 says 1 bit although its walker takes all 20: it is given as 20.
/// </summary>
internal sealed class VtdQemuRegisters(QTestClient client, ulong registers) : IRegisterFile
{
    private const int Ecap = 0x10;
    private const int PssShift = 35;

    public uint Read32(int offset) => offset switch
    {
        Ecap => (uint)Read64(Ecap),
        Ecap + 4 => (uint)(Read64(Ecap) >> 32),
        _ => client.Read32(registers + (ulong)offset),
    };

    public ulong Read64(int offset)
    {
        ulong value = client.Read64(registers + (ulong)offset);
        return offset == Ecap ? (value & ~(0x1FUL << PssShift)) | (19UL << PssShift) : value;
    }

    public void Write32(int offset, uint value) => client.Write32(registers + (ulong)offset, value);

    public void Write64(int offset, ulong value) => client.Write64(registers + (ulong)offset, value);
}
