// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Reader;

/// <summary>
/// Opens SMMUv3 tables from the values of STRTAB_BASE and STRTAB_BASE_CFG (Arm IHI 0070 5, 6.3), or one table of
/// context descriptors from what its writer says in <see cref="IPasidTable.AttachParameters"/>.
/// </summary>
[TableReader(ReaderName)]
public sealed class SmmuTableReader : ITableReader
{
    public const string ReaderName = "arm-smmuv3";

    private const int MaxStreamBits = 32;
    private static readonly string[] s_shape = ["S1ContextPtr", "S1Fmt", "S1CDMax", "S1DSS"];
    private static readonly string[] s_attached = [.. s_shape, "STE0", "STE1", "SID"];
    public string Name => ReaderName;
    public IReadOnlyList<RootRegister> Registers { get; } =
    [
        new("STRTAB_BASE", false,
            "stream table; needed unless a stream table entry is given") { Offset = Formats.Registers.STRTAB_BASE },
        new("STRTAB_BASE_CFG", false, "its shape: LOG2SIZE, SPLIT, FMT; needed with STRTAB_BASE")
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
        new("S1ContextPtr", false, "instead of a stream table: a table of context descriptors"),
        new("S1Fmt", false, "its shape: 0 linear, 1 leaves of 4 KiB, 2 leaves of 64 KiB; 0"),
        new("S1CDMax", false, "log2 of its context descriptors; 0"),
        new("S1DSS", false, "requests without PASID: 0 terminated, 1 bypass, 2 descriptor 0; 0"),
        new("STE0", false,
            "the same as word 0 of a stream table entry for stage 1; with it none of S1ContextPtr and so on"),
        new("STE1", false, "word 1 of that entry; 0"),
        new("SID", false, "the StreamID that such a table belongs to; by default it is every stream's"),
        new("PAGES", false, "0: a walk ends at the root of the page table; by default it ends at the page"),
    ];

    public IReadOnlyList<Layout> Structures => ArmSmmuLayouts.All;

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult known = TableRoots.Check(this, registers);
        if (!known.IsOk)
        {
            return OpResult<ITableView>.Refuse(known);
        }

        bool walksPages = registers.GetValueOrDefault("PAGES", 1UL) != 0;
        bool isAttached = registers.Keys.Any(name => s_attached.Contains(name));
        return isAttached ? OpenAttached(memory, registers, walksPages) : OpenStreams(memory, registers, walksPages);
    }

    private OpResult<ITableView> OpenStreams(
        IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers, bool walksPages)
    {
        OpResult given = TableRoots.Require(this, registers, "STRTAB_BASE", "STRTAB_BASE_CFG");
        if (!given.IsOk)
        {
            return OpResult<ITableView>.Refuse(given);
        }

        ulong shape = registers["STRTAB_BASE_CFG"];
        ulong format = shape.Get(Formats.Registers.STRTAB_FMT);
        if (format > 1)
        {
            return Refuse(Text($"STRTAB_BASE_CFG.FMT is {format}, 0 (linear) and 1 (two-level) exist"));
        }

        var root = StreamRoot.Of(registers["STRTAB_BASE"], (uint)shape, recordsUnknown: true);
        if (root.Log2Size > MaxStreamBits)
        {
            return Refuse(Text($"STRTAB_BASE_CFG.LOG2SIZE is {root.Log2Size}, the limit is {MaxStreamBits}"));
        }

        return root.IsTwoLevel && root.Split is not (6 or 8 or 10)
            ? Refuse(Text($"STRTAB_BASE_CFG.SPLIT is {root.Split}, 6, 8 and 10 exist"))
            : OpResult<ITableView>.Ok(new SmmuTableView(memory, root, null, Capabilities(registers), walksPages));
    }

    private static OpResult<ITableView> OpenAttached(
        IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers, bool walksPages)
    {
        if (registers.ContainsKey("STRTAB_BASE") || registers.ContainsKey("STRTAB_BASE_CFG"))
        {
            return Refuse("give STRTAB_BASE and STRTAB_BASE_CFG, or a table of context descriptors, not both");
        }

        if (registers.GetValueOrDefault("SID") is > uint.MaxValue and ulong tooWide)
        {
            return Refuse(Text($"SID 0x{tooWide:x} does not fit 32 bits"));
        }

        var entry = new ulong[StreamTableEntry.Words];
        Span<ulong> ste = entry;
        if (registers.TryGetValue("STE0", out ulong ste0))
        {
            if (registers.Keys.Any(name => s_shape.Contains(name)))
            {
                return Refuse("give STE0 and STE1, or S1ContextPtr, S1Fmt, S1CDMax and S1DSS, not both");
            }

            (ste[0], ste[1]) = (ste0, registers.GetValueOrDefault("STE1"));
        }
        else
        {
            if (!registers.TryGetValue("S1ContextPtr", out ulong pointer) || registers.ContainsKey("STE1"))
            {
                return Refuse("give S1ContextPtr, or STE0 with STE1");
            }

            ste.Set(StreamTableEntry.V, 1);
            ste.Set(StreamTableEntry.Config, StreamTableEntry.ConfigStage1);
            foreach ((Field field, ulong value) in new (Field, ulong)[]
            {
                (StreamTableEntry.S1ContextPtr, pointer),
                (StreamTableEntry.S1Fmt, registers.GetValueOrDefault("S1Fmt")),
                (StreamTableEntry.S1CDMax, registers.GetValueOrDefault("S1CDMax")),
                (StreamTableEntry.S1DSS, registers.GetValueOrDefault("S1DSS")),
            })
            {
                OpResult fits = StreamTableEntry.Layout.TrySet(ste, field.Mnemonic, value);
                if (!fits.IsOk)
                {
                    return Refuse(fits.Reason!);
                }
            }
        }

        if (ste.Get(StreamTableEntry.V) == 0 || ste.Get(StreamTableEntry.Config) != StreamTableEntry.ConfigStage1)
        {
            return Refuse(Text($"STE0 0x{ste[0]:x} is no valid entry for stage 1 alone (V 1, Config 5)"));
        }

        if (ste.Get(StreamTableEntry.S1Fmt) > StreamTableEntry.S1Fmt64KLeaf
            || ste.Get(StreamTableEntry.S1DSS) > StreamTableEntry.S1DssSubstream0)
        {
            return Refuse(Text(
                $"S1Fmt {ste.Get(StreamTableEntry.S1Fmt)} and S1DSS {ste.Get(StreamTableEntry.S1DSS)}: 0 to 2 are "
                    + $"defined"));
        }

        if (ste.Get(StreamTableEntry.S1CDMax) > Pasid.MaxBits)
        {
            return Refuse(
                Text($"S1CDMax is {ste.Get(StreamTableEntry.S1CDMax)}, at most {Pasid.MaxBits} are possible"));
        }

        SmmuHardwareOptions options = Capabilities(registers);
        if (ste.GetAddress(StreamTableEntry.S1ContextPtr) >> options.OutputBits != 0)
        {
            return Refuse(Text(
                $"S1ContextPtr 0x{ste.GetAddress(StreamTableEntry.S1ContextPtr):x} is not below "
                    + $"2^{options.OutputBits}"));
        }

        RequesterId? stream = registers.TryGetValue("SID", out ulong sid) ? new RequesterId((uint)sid) : null;
        return OpResult<ITableView>.Ok(new SmmuTableView(
            memory, default, new AttachedStream(stream, entry), options, walksPages));
    }

    private static OpResult<ITableView> Refuse(string reason) => OpResult<ITableView>.Refuse(Errno.EINVAL, reason);

    private static SmmuHardwareOptions Capabilities(IReadOnlyDictionary<string, ulong> registers)
    {
        var options = new SmmuHardwareOptions { StallModel = 0, HasStage2 = true, HasLargeGranules = true };
        if (registers.TryGetValue("IDR0", out ulong idr0))
        {
            options = options with
            {
                HasStage2 = idr0.Get(IdRegisters.S2P) != 0,
                HasWideAsids = idr0.Get(IdRegisters.ASID16) != 0,
                HasTwoLevelContexts = idr0.Get(IdRegisters.CD2L) != 0,
                StallModel = (int)idr0.Get(IdRegisters.STALL_MODEL),
            };
        }

        if (registers.TryGetValue("IDR1", out ulong idr1))
        {
            int bits = (int)Math.Min((ulong)Pasid.MaxBits, idr1.Get(IdRegisters.SSIDSIZE));
            options = options with { SubstreamBits = bits };
        }

        if (registers.TryGetValue("IDR5", out ulong idr5))
        {
            options = options with
            {
                OutputBits = ContextDescriptor.OutputBits((int)idr5.Get(IdRegisters.OAS)),
                HasLargeGranules = (idr5.Get(IdRegisters.GRAN16K) | idr5.Get(IdRegisters.GRAN64K)) != 0,
            };
        }

        return options;
    }
}
