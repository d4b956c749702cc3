// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>Where the stream table is and its shape: STRTAB_BASE and STRTAB_BASE_CFG.</summary>
/// <param name="Log2Size">StreamID bits.</param>
/// <param name="Split">StreamID bits below the first level.</param>
/// <param name="RecordsUnknown">CR2.RECINVSID: unknown StreamIDs are recorded.</param>
internal readonly record struct StreamRoot(ulong Table, int Log2Size, int Split, bool IsTwoLevel, bool RecordsUnknown)
{
    public static StreamRoot Of(ulong tableBase, ulong configuration, bool recordsUnknown) => new(
        tableBase.GetAddress(Registers.STRTAB_ADDR),
        (int)configuration.Get(Registers.STRTAB_LOG2SIZE),
        (int)configuration.Get(Registers.STRTAB_SPLIT),
        configuration.Get(Registers.STRTAB_FMT) == 1,
        recordsUnknown);
}

/// <summary>A stage 1 page table with what its descriptor says of the walk.</summary>
/// <param name="Table">Byte address of the top table.</param>
/// <param name="InputBits">Address bits that it covers.</param>
/// <param name="OutputBits">Address bits that it may lead to.</param>
/// <param name="Asid">Tag of its translations.</param>
/// <param name="IgnoresAccessFlag">AFFD.</param>
internal readonly record struct Stage1Root(
    ulong Table, int InputBits, int GranuleShift, int OutputBits, uint Asid, bool IgnoresAccessFlag,
    bool IgnoresHierarchy);

/// <summary>A stage 2 page table with what its stream table entry says of the walk.</summary>
/// <param name="Table">Byte address of the top table.</param>
/// <param name="InputBits">Intermediate address bits.</param>
/// <param name="StartLevel">Level of the top table.</param>
/// <param name="OutputBits">Address bits that it may lead to.</param>
/// <param name="IgnoresAccessFlag">S2AFFD.</param>
internal readonly record struct Stage2Root(
    ulong Table, int InputBits, int StartLevel, int GranuleShift, int OutputBits, bool IgnoresAccessFlag, bool Records)
{
    public static Stage2Root Of(SmmuHardwareOptions options, ReadOnlySpan<ulong> ste)
    {
        int granule = SmmuRules.GranuleShift(ste.Get(StreamTableEntry.S2TG));
        return new Stage2Root(
            ste.GetAddress(StreamTableEntry.S2TTB),
            64 - (int)ste.Get(StreamTableEntry.S2T0SZ),
            SmmuRules.Stage2StartLevel(granule, ste.Get(StreamTableEntry.S2SL0)),
            granule,
            Math.Min(ContextDescriptor.OutputBits((int)ste.Get(StreamTableEntry.S2PS)), options.OutputBits),
            ste.Get(StreamTableEntry.S2AFFD) != 0,
            ste.Get(StreamTableEntry.S2R) != 0);
    }
}

/// <summary>What one access is translated by.</summary>
/// <param name="Ssid">SubstreamID of the descriptor; null where there is no stage 1.</param>
/// <param name="Vmid">Tag of the virtual machine.</param>
/// <param name="IsEl2">STRW: the regime of EL2, which has TLB commands of its own.</param>
/// <param name="First">Stage 1; null where it is bypassed.</param>
/// <param name="Second">Stage 2; null where it is bypassed.</param>
internal readonly record struct SmmuRegime(
    uint Sid, uint? Ssid, uint Vmid, bool IsEl2, Stage1Root? First, Stage2Root? Second);

/// <summary>A translation, or the fault that was found instead.</summary>
internal readonly record struct SmmuTranslation
{
    /// <summary>The fault; the default where there is none.</summary>
    public SmmuFault Fault { get; init; }
    public ulong Address { get; init; }

    /// <summary>log2 of the bytes around the address that are translated alike.</summary>
    public int Shift { get; init; }

    /// <summary>Level of the last entry of stage 1, or of stage 2 where it is the only one.</summary>
    public int Level { get; init; }

    /// <summary>What stage 1 lets a device (which is not privileged) do.</summary>
    public bool Readable { get; init; }

    /// <inheritdoc cref="Readable"/>
    public bool Writable { get; init; }

    /// <summary>What stage 2 allows.</summary>
    public bool Readable2 { get; init; }

    /// <inheritdoc cref="Readable2"/>
    public bool Writable2 { get; init; }

    /// <summary>The intermediate address, where there are two stages.</summary>
    public ulong Ipa { get; init; }

    /// <summary>Whether it belongs to every ASID (nG is 0).</summary>
    public bool IsGlobal { get; init; }

    /// <summary>The same with its permission fault, if the access has one.</summary>
    /// <param name="fetch">CLASS of the access to stage 2.</param>
    public SmmuTranslation For(bool isWrite, ulong fetch)
    {
        if (Fault.IsFault)
        {
            return this;
        }

        string what = isWrite ? "a write to what can only be read" : "no access for devices";
        if (isWrite ? !Writable : !Readable)
        {
            return this with
            {
                Fault = new SmmuFault(SmmuEvent.F_PERMISSION, $"stage 1, level {Level}: {what}"),
            };
        }

        return (isWrite ? Writable2 : Readable2)
            ? this
            : this with
            {
                Fault = new SmmuFault(SmmuEvent.F_PERMISSION, $"stage 2: {what}")
                {
                    IsStage2 = true,
                    Class = fetch,
                    Ipa = Ipa,
                },
            };
    }
}

/// <summary>What became of an access, and what is to be recorded of it.</summary>
/// <param name="Result">The answer.</param>
internal readonly record struct WalkOutcome(TranslationResult Result, SmmuFault Fault)
{
    /// <summary>The translation behind <see cref="TranslationStatus.Translated"/>.</summary>
    public SmmuTranslation Translation { get; init; }

    /// <summary>STE.EATS, where the entry was legal.</summary>
    public ulong Ats { get; init; }
}
