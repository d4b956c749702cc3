// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

// VMSAv8-64 stage 1 with a 4 KiB granule: Arm IHI 0070 section 3.4, DDI 0487 D8.

/// <summary>The steps of one translation, without saying where entries come from: memory, or a cache. The caller
/// fetches the entry at <see cref="EntryAddress"/> and hands it in, until there is a result.</summary>
internal struct StageOneWalk
{
    private readonly AttachedDescriptor _descriptor;
    private readonly DmaAccess _access;
    private ulong _table;
    private ulong _inherited;

    /// <param name="descriptor">A descriptor that hardware accepts and that translates.</param>
    public StageOneWalk(in AttachedDescriptor descriptor, in DmaAccess access)
    {
        _descriptor = descriptor;
        _access = access;
        Address = descriptor.IgnoresTopByte ? access.Address & (ulong.MaxValue >> 8) : access.Address;
        _table = descriptor.FirstTable(out int level);
        FirstLevel = level;
        Level = level;
        int inputBits = 64 - descriptor.T0Sz;
        Refusal = Address >> inputBits != 0
            ? WalkResult.Mapping($"address 0x{access.Address:x} is beyond the {inputBits} bits of T0SZ")
            : null;
    }

    /// <summary>The end of the access where no entry needs to be read; else null.</summary>
    public WalkResult? Refusal { get; }

    public ulong Address { get; }
    public int FirstLevel { get; }
    public int Level { get; private set; }
    public readonly ulong EntryAddress => _table + ((Address >> StageOneEntry.Shift(Level) & 511) * 8);

    /// <summary>An entry with what the tables above it forbid.</summary>
    public readonly StageOneEntry Inherit(in StageOneEntry entry)
    {
        ulong word = entry.Word;
        if (entry.IsTable)
        {
            word |= _inherited;
        }
        else
        {
            word &= (_inherited & ArmStage1Entry.APTable0.WordMask) != 0 ? ~ArmStage1Entry.AP1.WordMask
                : ulong.MaxValue;
            word |= (_inherited & ArmStage1Entry.APTable1.WordMask) != 0 ? ArmStage1Entry.AP2.WordMask : 0;
        }

        return entry with { Word = word };
    }

    /// <summary>Goes on below a table's entry, wherever it lies.</summary>
    public void Descend(in StageOneEntry table)
    {
        _table = table.Address;
        _inherited = _descriptor.IgnoresHierarchy
            ? 0 : table.Word & (ArmStage1Entry.APTable0.WordMask | ArmStage1Entry.APTable1.WordMask);
        Level = table.Level + 1;
    }

    /// <returns>The result; null where another entry is needed.</returns>
    public WalkResult? Take(in StageOneEntry entry)
    {
        if (!entry.IsValid)
        {
            return WalkResult.Mapping($"address 0x{_access.Address:x} is not mapped (level {Level})");
        }

        if (entry.Address >> _descriptor.AddressBits != 0)
        {
            return WalkResult.Mapping($"0x{entry.Address:x} is outside of the output size, IPS {_descriptor.Ips}");
        }

        StageOneEntry merged = Inherit(entry);
        if (!entry.IsTable)
        {
            return Reach(merged);
        }

        Descend(merged);
        return null;
    }

    /// <param name="leaf">The entry, with what the tables above it forbid.</param>
    public readonly WalkResult Reach(in StageOneEntry leaf)
    {
        if (!leaf.IsAccessed && !_descriptor.IgnoresAccessFlag)
        {
            return WalkResult.Mapping($"address 0x{_access.Address:x} has never been accessed (AF is 0)");
        }

        // Requests with a PASID are a process's own: unprivileged.
        if (!leaf.IsUser)
        {
            return WalkResult.Mapping($"address 0x{_access.Address:x} is not for user accesses (AP1 is 0)");
        }

        return _access.IsWrite && leaf.IsReadOnly
            ? WalkResult.Mapping($"address 0x{_access.Address:x} is read only (AP2 is 1)")
            : new WalkResult(
                TranslationStatus.Translated,
                _descriptor.Ttb0,
                false,
                null,
                leaf.Address + (Address & ((1UL << StageOneEntry.Shift(leaf.Level)) - 1)));
    }
}
