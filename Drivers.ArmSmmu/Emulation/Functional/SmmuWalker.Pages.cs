// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

// Page tables: Arm IHI 0070 3.4, Arm DDI 0487 D8.3. Faults come in the order translation, address size, access flag,
// permission.
internal partial class SmmuWalker
{
    // Arm counts levels down to 3, the last; formats count down to 1.
    private const int LevelsBelow = 4;

    /// <summary>Translates an address through the stages of a regime.</summary>
    protected virtual SmmuTranslation Translate(in SmmuRegime regime, ulong address, bool isWrite) =>
        Walk(regime, address, isWrite);

    /// <summary>Translates an intermediate address; permissions are not checked yet.</summary>
    protected virtual SmmuTranslation TranslateIntermediate(uint vmid, in Stage2Root second, ulong address) =>
        WalkStage2(second, address);

    /// <summary>Where a walk of stage 1 may begin below the top: what a walk cache knows.</summary>
    /// <param name="level">In: the top level; out: the level of the table.</param>
    /// <param name="table">Its address (an intermediate one, where there is a stage 2).</param>
    protected virtual void FindTable(in SmmuRegime regime, ulong address, ref int level, ref ulong table)
    {
    }

    /// <summary>A walk of stage 1 met a table.</summary>
    protected virtual void KeepTable(in SmmuRegime regime, ulong address, int level, int lowBit, ulong table)
    {
    }

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

    protected SmmuTranslation WalkStage2(in Stage2Root second, ulong address)
    {
        var walk = new Stage2Walk(this, second, address);
        if (address >> second.InputBits != 0)
        {
            return walk.Failed(SmmuEvent.F_TRANSLATION, Text($"beyond {second.InputBits} bits"));
        }

        // At the start level the index may be wider: tables side by side.
        PageWalker.Walk(
            ArmPageTables.OfStage2(second.GranuleShift), second.Table, LevelsBelow - second.StartLevel, address,
            PageRights.All, ref walk);
        return walk.Result;
    }

    private SmmuTranslation WalkStage1(in SmmuRegime regime, in Stage1Root first, ulong address)
    {
        RadixFormat format = ArmPageTables.OfStage1(first.GranuleShift);
        ulong offset = address & ((1UL << first.InputBits) - 1);
        int top = (first.InputBits - format.PageShift + format.IndexBits - 1) / format.IndexBits;
        int level = LevelsBelow - top;

        // The bits of TTB below the top table's size count as 0 (Arm IHI 0070 5.4).
        ulong table = first.Table & ~((8UL << (first.InputBits - format.Shift(top))) - 1);
        FindTable(regime, address, ref level, ref table);
        level = LevelsBelow - level;

        // The index of the top table may be wider than that of others; below it, it is not.
        offset &= level == top ? ulong.MaxValue : format.LowBits(level + 1);
        var walk = new Stage1Walk(this, regime, first, address);
        PageWalker.Walk(format, table, level, offset, PageRights.All, ref walk);
        return walk.Result;
    }

    private ref struct Stage1Walk(
        SmmuWalker walker, in SmmuRegime regime, in Stage1Root first, ulong address) : IPageWalk
    {
        private readonly ref readonly SmmuRegime _regime = ref regime;
        private readonly ref readonly Stage1Root _first = ref first;
        public SmmuTranslation Result { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = 0;
            ulong at = step.Address;
            if (_regime.Second is { } second)
            {
                SmmuTranslation reached = walker.TranslateIntermediate(_regime.Vmid, second, at)
                    .For(isWrite: false, Events.ClassTable);
                if (reached.Fault.IsFault)
                {
                    Result = reached with { Fault = reached.Fault with { Class = Events.ClassTable } };
                    return false;
                }

                at = reached.Address;
            }

            if (!walker.LoadEntry(ArmStage1Entry.Layout.Id, at, LevelsBelow - step.Level, ref entry))
            {
                Result = Failed(new SmmuFault(
                    SmmuEvent.F_WALK_EABT,
                    Text($"no memory for the level {LevelsBelow - step.Level} entry at 0x{at:x}"),
                    at)
                {
                    Class = Events.ClassTable,
                });
                return false;
            }

            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            int level = LevelsBelow - step.Level;
            RadixFormat format = ArmPageTables.OfStage1(_first.GranuleShift);
            ulong target = format.PageOf(entry, kind == EntryKind.Table ? 1 : step.Level);
            if (kind == EntryKind.Empty)
            {
                return Fail(SmmuEvent.F_TRANSLATION, Text($"0x{address:x} is not mapped (level {level})"));
            }

            if (target >> _first.OutputBits != 0)
            {
                return Fail(
                    SmmuEvent.F_ADDR_SIZE,
                    Text($"0x{address:x}, level {level}: 0x{target:x} is beyond {_first.OutputBits} bits"));
            }

            int low = format.Shift(step.Level);
            if (kind == EntryKind.Table)
            {
                rights = _first.IgnoresHierarchy ? PageRights.All : rights;
                if (rights == PageRights.All)
                {
                    walker.KeepTable(_regime, address, level + 1, low, target);
                }

                return WalkNext.Descend;
            }

            if ((entry & ArmStage1Entry.AF.WordMask) == 0 && !_first.IgnoresAccessFlag)
            {
                return Fail(SmmuEvent.F_ACCESS, Text($"0x{address:x}: AF is 0 (level {level})"));
            }

            Result = new SmmuTranslation
            {
                Address = target | (step.Input & format.LowBits(step.Level)),
                Shift = low,
                Level = level,
                Readable = (rights & PageRights.User) != 0,
                Writable = rights == PageRights.All,
                Readable2 = true,
                Writable2 = true,
                IsGlobal = (entry & ArmStage1Entry.NG.WordMask) == 0,
            };
            return WalkNext.End;
        }

        private static SmmuTranslation Failed(SmmuFault fault) => new() { Fault = fault };

        private WalkNext Fail(SmmuEvent number, string reason)
        {
            Result = Failed(new SmmuFault(number, reason));
            return WalkNext.End;
        }
    }

    private ref struct Stage2Walk(SmmuWalker walker, in Stage2Root second, ulong address) : IPageWalk
    {
        private readonly ref readonly Stage2Root _second = ref second;
        public SmmuTranslation Result { get; private set; }

        public bool Read(in WalkStep step, out ulong entry)
        {
            entry = 0;
            ulong at = step.Address;
            if (!walker.LoadEntry(ArmStage2Entry.Layout.Id, at, LevelsBelow - step.Level, ref entry))
            {
                SmmuTranslation failed = Failed(
                    SmmuEvent.F_WALK_EABT,
                    Text($"no memory for the level {LevelsBelow - step.Level} entry at 0x{at:x}"));
                Result = failed with { Fault = failed.Fault with { Address = at } };
                return false;
            }

            return true;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            int level = LevelsBelow - step.Level;
            RadixFormat format = ArmPageTables.OfStage2(_second.GranuleShift);
            ulong target = format.PageOf(entry, kind == EntryKind.Table ? 1 : step.Level);
            if (kind == EntryKind.Empty)
            {
                Result = Failed(SmmuEvent.F_TRANSLATION, Text($"level {level}"));
            }
            else if (target >> _second.OutputBits != 0)
            {
                Result = Failed(
                    SmmuEvent.F_ADDR_SIZE, Text($"level {level}: 0x{target:x} is beyond {_second.OutputBits} bits"));
            }
            else if (kind == EntryKind.Table)
            {
                return WalkNext.Descend;
            }
            else if ((entry & ArmStage2Entry.AF.WordMask) == 0 && !_second.IgnoresAccessFlag)
            {
                Result = Failed(SmmuEvent.F_ACCESS, Text($"level {level}"));
            }
            else
            {
                Result = new SmmuTranslation
                {
                    Address = target | (address & format.LowBits(step.Level)),
                    Shift = format.Shift(step.Level),
                    Level = level,
                    Readable2 = (rights & PageRights.Read) != 0,
                    Writable2 = (rights & PageRights.Write) != 0,
                    Readable = true,
                    Writable = true,
                    Ipa = address,
                };
            }

            return WalkNext.End;
        }

        public readonly SmmuTranslation Failed(SmmuEvent number, string reason) => new()
        {
            Fault = new SmmuFault(number, Text($"stage 2 of 0x{address:x}: {reason}"))
            {
                IsStage2 = true,
                Ipa = address,
            },
        };
    }

    private bool LoadEntry(string structure, ulong at, int level, ref ulong entry)
    {
        var word = new Span<ulong>(ref entry);
        bool isRead = Load(at, word);
        if (Steps is not null)
        {
            AddStep(structure, at, isRead ? word : [], isRead ? Text($"level {level}") : "no memory is there");
        }

        return isRead;
    }
}
