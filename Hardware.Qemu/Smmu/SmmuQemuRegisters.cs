using PasidFramework.Hardware;

namespace PasidFramework.Qemu.Smmu;

/// <summary>
/// The registers over QTest. QEMU has no substreams: IDR1.SSIDSIZE is given as 20 and IDR0.CD2L as 1, and the stream table
/// that the driver names is kept from QEMU, which walks one of this project's own.
/// </summary>
internal sealed class SmmuQemuRegisters(QTestClient client, ulong registers) : IRegisterFile
{
    public const int Idr0 = 0x0;
    public const int Idr1 = 0x4;
    public const int StreamTableBase = 0x80;
    public const int StreamTableConfig = 0x88;
    private const uint TwoLevelContexts = 1u << 19;
    private const int SubstreamShift = 6;
    private const uint SubstreamBits = 20;

    /// <summary>What the driver wrote to STRTAB_BASE.</summary>
    public ulong DriverTable { get; private set; }

    /// <summary>What the driver wrote to STRTAB_BASE_CFG.</summary>
    public uint DriverConfig { get; private set; }

    public uint Read32(int offset) => offset switch
    {
        Idr0 => client.Read32(registers) | TwoLevelContexts,
        Idr1 => (client.Read32(registers + Idr1) & ~(0x1Fu << SubstreamShift)) | (SubstreamBits << SubstreamShift),
        StreamTableBase => (uint)DriverTable,
        StreamTableBase + 4 => (uint)(DriverTable >> 32),
        StreamTableConfig => DriverConfig,
        _ => client.Read32(registers + (ulong)offset),
    };

    public ulong Read64(int offset) => offset == StreamTableBase
        ? DriverTable
        : client.Read64(registers + (ulong)offset);

    public void Write32(int offset, uint value)
    {
        switch (offset)
        {
            case StreamTableConfig:
                DriverConfig = value;
                break;
            case StreamTableBase:
                DriverTable = (DriverTable & ~0xFFFF_FFFFUL) | value;
                break;
            case StreamTableBase + 4:
                DriverTable = (DriverTable & 0xFFFF_FFFF) | ((ulong)value << 32);
                break;
            default:
                client.Write32(registers + (ulong)offset, value);
                break;
        }
    }

    public void Write64(int offset, ulong value)
    {
        if (offset == StreamTableBase)
        {
            DriverTable = value;
            return;
        }

        client.Write64(registers + (ulong)offset, value);
    }

    /// <summary>Names the stream table that QEMU walks.</summary>
    public void SetOwnTable(ulong address, int log2Entries)
    {
        client.Write64(registers + StreamTableBase, address);
        client.Write32(registers + StreamTableConfig, (uint)log2Entries);
    }
}
