using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.VirtioIommu.Emulation.Functional;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Reader;

/// <summary>
/// Reads a PASID table that was attached to a virtio-iommu by proposal B or E: context descriptors in Arm SMMUv3 format
/// (IHI 0070 section 5.3 and 5.4) and the stage 1 page tables behind them, whatever memory holds.
/// </summary>
/// <remarks>
/// A domain of mappings has no table: its MAP requests are in the device only. The structures that it names
/// (<c>arm-smmuv3/cd</c> and so on) are explained by the assembly that writes such tables.
/// </remarks>
[TableReader("virtio-iommu")]
public sealed class VirtioTableReader : ITableReader
{
    private static readonly RootRegister[] s_registers =
    [
        new("s1contextptr", false, "proposal B: byte address of the table, a multiple of 64; or give ste0"),
        new("s1fmt", false, "proposal B: 0 linear, 1 two-level with 4 KiB leaves, 2 two-level with 64 KiB leaves; 0"),
        new("s1cdmax", false, "proposal B: log2 of the number of context descriptors, 0 to 20; 0"),
        new("s1dss", false, "proposal B: requests without PASID: 0 terminated, 1 bypass, 2 descriptor 0; 0"),
        new("ste0", false, "proposal E: word 0 of the stream table entry; with it none of the s1 parameters"),
        new("ste1", false, "proposal E: word 1 of the stream table entry, of which S1DSS counts; 0"),
        new("endpoint", false, "the endpoint whose table it is; by default it is every endpoint's"),
    ];

    /// <inheritdoc/>
    public string Name => "virtio-iommu";

    /// <inheritdoc/>
    public IReadOnlyList<RootRegister> Registers => s_registers;

    /// <inheritdoc/>
    /// <remarks>Exactly one of <c>s1contextptr</c> and <c>ste0</c> is needed.</remarks>
    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(registers);
        foreach (string name in registers.Keys)
        {
            if (!s_registers.Any(r => r.Name == name))
            {
                return Invalid(
                    $"there is no parameter {name}; known are {string.Join(", ", s_registers.Select(r => r.Name))}");
            }
        }

        bool isE = registers.TryGetValue("ste0", out ulong ste0);
        if (isE == registers.TryGetValue("s1contextptr", out ulong pointer)
            || (isE && registers.Keys.Any(name => name is "s1fmt" or "s1cdmax" or "s1dss"))
            || (!isE && registers.ContainsKey("ste1")))
        {
            return Invalid(
                $"give s1contextptr with s1fmt, s1cdmax and s1dss (proposal B), or ste0 with ste1 (proposal E)");
        }

        ulong format = registers.GetValueOrDefault("s1fmt");
        ulong width = registers.GetValueOrDefault("s1cdmax");
        ulong others = registers.GetValueOrDefault("s1dss");
        if (isE)
        {
            // Section 5.2: V 0, Config 3:1, S1Fmt 5:4, S1ContextPtr 55:6, S1CDMax 63:59; word 1: S1DSS 1:0.
            if ((ste0 & 0xF) != 0b1011)
            {
                return Invalid($"ste0 0x{ste0:x} is no valid entry for stage 1 alone (V 1, Config 5)");
            }

            format = (ste0 >> 4) & 3;
            pointer = ste0 & 0x00FF_FFFF_FFFF_FFC0;
            width = ste0 >> 59;
            others = registers.GetValueOrDefault("ste1") & 3;
        }

        if (format > 2 || others > 2)
        {
            return Invalid($"S1Fmt {format} and S1DSS {others}: 0 to 2 are defined");
        }

        if (width > Pasid.MaxBits)
        {
            return Invalid($"S1CDMax is {width}, at most {Pasid.MaxBits} are possible");
        }

        if ((pointer & 63) != 0 || pointer >> ArmTables.OutputBits != 0)
        {
            return Invalid($"S1ContextPtr 0x{pointer:x} is no multiple of 64 below 2^{ArmTables.OutputBits}");
        }

        bool hasEndpoint = registers.TryGetValue("endpoint", out ulong endpoint);
        return endpoint > uint.MaxValue
            ? Invalid($"endpoint 0x{endpoint:x} does not fit 32 bits")
            : OpResult<ITableView>.Ok(new AttachedTableView(
                memory,
                new DeviceTable((int)format, pointer, (int)width, (int)others),
                hasEndpoint ? new RequesterId((uint)endpoint) : null));
    }

    private static OpResult<ITableView> Invalid(FormattableString why) => OpResult<ITableView>.Refuse(
        Errno.EINVAL, "virtio-iommu table: " + why.ToString(CultureInfo.InvariantCulture));
}
