using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

// Page tables: Arm IHI 0070 3.4, Arm DDI 0487 D8.3. Faults come in the order translation, address size, access flag,
// permission.
internal partial class SmmuWalker
{
    private const int LastLevel = 3;
    private const int HighestAddressBit = 47;

    /// <summary>Translates an address through the stages of a regime.</summary>
    /// <param name="regime">The regime.</param>
    /// <param name="address">Input address.</param>
    /// <param name="isWrite">Whether the access writes.</param>
    protected virtual SmmuTranslation Translate(in SmmuRegime regime, ulong address, bool isWrite) =>
        Walk(regime, address, isWrite);

    /// <summary>Translates an intermediate address; permissions are not checked yet.</summary>
    /// <param name="vmid">VMID.</param>
    /// <param name="second">Stage 2.</param>
    /// <param name="address">Intermediate address.</param>
    protected virtual SmmuTranslation TranslateIntermediate(uint vmid, in Stage2Root second, ulong address) =>
        WalkStage2(second, address);

    /// <summary>Where a walk of stage 1 may begin below the top: what a walk cache knows.</summary>
    /// <param name="regime">The regime.</param>
    /// <param name="address">Input address.</param>
    /// <param name="level">In: the top level; out: the level of the table.</param>
    /// <param name="table">Its address (an intermediate one, where there is a stage 2).</param>
    protected virtual void FindTable(in SmmuRegime regime, ulong address, ref int level, ref ulong table)
    {
    }

    /// <summary>A walk of stage 1 met a table.</summary>
    protected virtual void KeepTable(in SmmuRegime regime, ulong address, int level, int lowBit, ulong table)
    {
    }

    /// <summary>Walks the tables of both stages.</summary>
    protected SmmuTranslation Walk(in SmmuRegime regime, ulong address, bool isWrite)
    {
        if (regime.First is not { } first)
        {
            SmmuTranslation only = TranslateIntermediate(regime.Vmid, regime.Second!.Value, address)
                with { Readable = true, Writable = true };
            return only.For(isWrite, Events.ClassInput);
        }

        SmmuTranslation one = WalkStage1(regime, first, address).For(isWrite, Events.ClassInput);
        if (one.Fault.IsFault || regime.Second is not { } second)
        {
            return one;
        }

        SmmuTranslation two = TranslateIntermediate(regime.Vmid, second, one.Address);
        if (two.Fault.IsFault)
        {
            return two;
        }

        return (one with
        {
            Address = two.Address,
            Shift = Math.Min(one.Shift, two.Shift),
            Readable2 = two.Readable2,
            Writable2 = two.Writable2,
            Ipa = one.Address,
        }).For(isWrite, Events.ClassInput);
    }

    /// <summary>Walks the tables of stage 2.</summary>
    protected SmmuTranslation WalkStage2(in Stage2Root second, ulong address)
    {
        SmmuFault Fault(SmmuEvent number, string reason) => new(number, Text($"stage 2 of 0x{address:x}: {reason}"))
        {
            IsStage2 = true,
            Ipa = address,
        };

        if (address >> second.InputBits != 0)
        {
            return new SmmuTranslation
            {
                Fault = Fault(SmmuEvent.F_TRANSLATION, Text($"beyond {second.InputBits} bits")),
            };
        }

        ulong table = second.Table;
        int stride = second.GranuleShift - 3;
        for (int level = second.StartLevel; ; level++)
        {
            int low = second.GranuleShift + (stride * (LastLevel - level));

            // At the start level the index may be wider: tables side by side.
            ulong index = address >> low;
            if (level != second.StartLevel)
            {
                index &= (1UL << stride) - 1;
            }

            ulong at = table + (index * 8);
            Span<ulong> entry = [0];
            if (!Load(at, entry))
            {
                AddStep(Stage2PageTableEntry.Layout.Id, at, [], "no memory is there");
                return new SmmuTranslation
                {
                    Fault = Fault(SmmuEvent.F_WALK_EABT, Text($"no memory for the level {level} entry at 0x{at:x}"))
                        with { Address = at },
                };
            }

            AddStep(Stage2PageTableEntry.Layout.Id, at, entry, Text($"level {level}"));
            Kind kind = KindOf(entry[0], level, second.GranuleShift);
            if (kind == Kind.None)
            {
                return new SmmuTranslation { Fault = Fault(SmmuEvent.F_TRANSLATION, Text($"level {level}")) };
            }

            ulong target = OutputOf(entry[0], kind == Kind.Table ? second.GranuleShift : low);
            if (target >> second.OutputBits != 0)
            {
                return new SmmuTranslation
                {
                    Fault = Fault(
                        SmmuEvent.F_ADDR_SIZE, Text($"level {level}: 0x{target:x} is beyond {second.OutputBits} bits")),
                };
            }

            if (kind == Kind.Table)
            {
                table = target;
                continue;
            }

            if (entry.Get(Stage2PageTableEntry.AF) == 0 && !second.IgnoresAccessFlag)
            {
                return new SmmuTranslation { Fault = Fault(SmmuEvent.F_ACCESS, Text($"level {level}")) };
            }

            ulong access = entry.Get(Stage2PageTableEntry.S2AP);
            return new SmmuTranslation
            {
                Address = target | (address & ((1UL << low) - 1)),
                Shift = low,
                Level = level,
                Readable2 = (access & 1) != 0,
                Writable2 = (access & 2) != 0,
                Readable = true,
                Writable = true,
                Ipa = address,
            };
        }
    }

    private static Kind KindOf(ulong word, int level, int granuleShift)
    {
        ReadOnlySpan<ulong> entry = [word];
        ulong type = entry.Get(Stage1PageTableEntry.Type);
        if (level == LastLevel)
        {
            return type == Stage1PageTableEntry.TypeTableOrPage ? Kind.Page : Kind.None;
        }

        if (type == Stage1PageTableEntry.TypeTableOrPage)
        {
            return Kind.Table;
        }

        // Blocks: 1 GiB and 2 MiB with 4 KiB pages, 32 MiB with 16 KiB, 512 MiB with 64 KiB.
        bool hasBlocks = level == 2 || (level == 1 && granuleShift == 12);
        return type == Stage1PageTableEntry.TypeBlock && hasBlocks ? Kind.Page : Kind.None;
    }

    private static ulong OutputOf(ulong entry, int lowBit) =>
        entry & ((1UL << (HighestAddressBit + 1)) - 1) & ~((1UL << lowBit) - 1);

    private SmmuTranslation WalkStage1(in SmmuRegime regime, in Stage1Root first, ulong address)
    {
        int granule = first.GranuleShift;
        int stride = granule - 3;
        ulong offset = address & ((1UL << first.InputBits) - 1);
        int top = LastLevel + 1 - ((first.InputBits - granule + stride - 1) / stride);
        int level = top;

        // The bits of TTB below the top table's size count as 0 (Arm IHI 0070 5.4).
        ulong table = first.Table & ~((8UL << (first.InputBits - granule - (stride * (LastLevel - top)))) - 1);
        FindTable(regime, address, ref level, ref table);
        bool mayRead = true;
        bool mayWrite = true;
        for (; ; level++)
        {
            int low = granule + (stride * (LastLevel - level));
            ulong index = offset >> low;
            if (level != top)
            {
                index &= (1UL << stride) - 1;
            }

            ulong at = table + (index * 8);
            if (regime.Second is { } second)
            {
                SmmuTranslation reached = TranslateIntermediate(regime.Vmid, second, at)
                    .For(isWrite: false, Events.ClassTable);
                if (reached.Fault.IsFault)
                {
                    return reached with { Fault = reached.Fault with { Class = Events.ClassTable } };
                }

                at = reached.Address;
            }

            Span<ulong> entry = [0];
            if (!Load(at, entry))
            {
                AddStep(Stage1PageTableEntry.Layout.Id, at, [], "no memory is there");
                return Failed(new SmmuFault(
                    SmmuEvent.F_WALK_EABT, Text($"no memory for the level {level} entry at 0x{at:x}"), at)
                {
                    Class = Events.ClassTable,
                });
            }

            AddStep(Stage1PageTableEntry.Layout.Id, at, entry, Text($"level {level}"));
            Kind kind = KindOf(entry[0], level, granule);
            if (kind == Kind.None)
            {
                return Failed(new SmmuFault(
                    SmmuEvent.F_TRANSLATION, Text($"0x{address:x} is not mapped (level {level})")));
            }

            ulong target = OutputOf(entry[0], kind == Kind.Table ? granule : low);
            if (target >> first.OutputBits != 0)
            {
                return Failed(new SmmuFault(
                    SmmuEvent.F_ADDR_SIZE,
                    Text($"0x{address:x}, level {level}: 0x{target:x} is beyond {first.OutputBits} bits")));
            }

            if (kind == Kind.Table)
            {
                // APTable: bit 61 takes EL0's access away, bit 62 everybody's writes.
                if (!first.IgnoresHierarchy)
                {
                    mayRead &= (entry[0] >> 61 & 1) == 0;
                    mayWrite &= (entry[0] >> 62 & 1) == 0;
                }

                table = target;
                if (mayRead && mayWrite)
                {
                    KeepTable(regime, address, level + 1, low, table);
                }

                continue;
            }

            if (entry.Get(Stage1PageTableEntry.AF) == 0 && !first.IgnoresAccessFlag)
            {
                return Failed(new SmmuFault(SmmuEvent.F_ACCESS, Text($"0x{address:x}: AF is 0 (level {level})")));
            }

            mayRead &= entry.Get(Stage1PageTableEntry.AP1) != 0;
            mayWrite &= mayRead && entry.Get(Stage1PageTableEntry.AP2) == 0;
            return new SmmuTranslation
            {
                Address = target | (offset & ((1UL << low) - 1)),
                Shift = low,
                Level = level,
                Readable = mayRead,
                Writable = mayWrite,
                Readable2 = true,
                Writable2 = true,
                IsGlobal = entry.Get(Stage1PageTableEntry.NG) == 0,
            };
        }

        static SmmuTranslation Failed(SmmuFault fault) => new() { Fault = fault };
    }

    private enum Kind
    {
        None,
        Table,
        Page,
    }
}
