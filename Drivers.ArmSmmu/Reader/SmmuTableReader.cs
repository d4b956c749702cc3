using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Emulation.Functional;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Reader;

/// <summary>Opens SMMUv3 tables from the values of STRTAB_BASE and STRTAB_BASE_CFG (Arm IHI 0070 5, 6.3).</summary>
[TableReader(ReaderName)]
internal sealed class SmmuTableReader : ITableReader
{
    /// <summary>Name of the architecture.</summary>
    public const string ReaderName = "arm-smmuv3";

    private const int MaxStreamBits = 32;

    /// <inheritdoc/>
    public string Name => ReaderName;

    /// <inheritdoc/>
    public IReadOnlyList<RootRegister> Registers { get; } =
    [
        new("STRTAB_BASE", true, "stream table") { Offset = Formats.Registers.STRTAB_BASE },
        new("STRTAB_BASE_CFG", true, "its shape: LOG2SIZE, SPLIT, FMT")
        {
            Offset = Formats.Registers.STRTAB_BASE_CFG,
            Bytes = 4,
        },
        new("IDR0", false, "what is supported; missing: everything") { Offset = Formats.Registers.IDR0, Bytes = 4 },
        new("IDR1", false, "SSIDSIZE; missing: 20 bits") { Offset = Formats.Registers.IDR1, Bytes = 4 },
        new("IDR5", false, "OAS and granules; missing: 48 bits and all of them")
        {
            Offset = Formats.Registers.IDR5,
            Bytes = 4,
        },
    ];

    /// <inheritdoc/>
    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(registers);
        foreach (string name in registers.Keys)
        {
            if (!Registers.Any(r => r.Name == name))
            {
                return Refuse($"no register '{name}'; known are {string.Join(", ", Registers.Select(r => r.Name))}");
            }
        }

        foreach (RootRegister register in Registers)
        {
            if (register.IsRequired && !registers.ContainsKey(register.Name))
            {
                return Refuse($"register {register.Name} is missing: {register.Meaning}");
            }
        }

        ReadOnlySpan<ulong> shape = [registers["STRTAB_BASE_CFG"]];
        ulong format = shape.Get(Formats.Registers.STRTAB_FMT);
        if (format > 1)
        {
            return Refuse(Text($"STRTAB_BASE_CFG.FMT is {format}, 0 (linear) and 1 (two-level) exist"));
        }

        var root = StreamRoot.Of(registers["STRTAB_BASE"], (uint)shape[0], recordsUnknown: true);
        if (root.Log2Size > MaxStreamBits)
        {
            return Refuse(Text($"STRTAB_BASE_CFG.LOG2SIZE is {root.Log2Size}, the limit is {MaxStreamBits}"));
        }

        return root.IsTwoLevel && root.Split is not (6 or 8 or 10)
            ? Refuse(Text($"STRTAB_BASE_CFG.SPLIT is {root.Split}, 6, 8 and 10 exist"))
            : OpResult<ITableView>.Ok(new SmmuTableView(memory, root, Capabilities(registers)));
    }

    private static OpResult<ITableView> Refuse(string reason) => OpResult<ITableView>.Refuse(Errno.EINVAL, reason);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static SmmuHardwareOptions Capabilities(IReadOnlyDictionary<string, ulong> registers)
    {
        var options = new SmmuHardwareOptions { StallModel = 0, HasStage2 = true, HasLargeGranules = true };
        if (registers.TryGetValue("IDR0", out ulong idr0))
        {
            ReadOnlySpan<ulong> words = [idr0];
            options = options with
            {
                HasStage2 = words.Get(IdRegisters.S2P) != 0,
                HasWideAsids = words.Get(IdRegisters.ASID16) != 0,
                HasTwoLevelContexts = words.Get(IdRegisters.CD2L) != 0,
                StallModel = (int)words.Get(IdRegisters.STALL_MODEL),
            };
        }

        if (registers.TryGetValue("IDR1", out ulong idr1))
        {
            ReadOnlySpan<ulong> words = [idr1];
            options = options with
            {
                SubstreamBits = (int)Math.Min((ulong)Pasid.MaxBits, words.Get(IdRegisters.SSIDSIZE)),
            };
        }

        if (registers.TryGetValue("IDR5", out ulong idr5))
        {
            ReadOnlySpan<ulong> words = [idr5];
            options = options with
            {
                OutputBits = ContextDescriptor.OutputBits((int)words.Get(IdRegisters.OAS)),
                HasLargeGranules = (words.Get(IdRegisters.GRAN16K) | words.Get(IdRegisters.GRAN64K)) != 0,
            };
        }

        return options;
    }
}
