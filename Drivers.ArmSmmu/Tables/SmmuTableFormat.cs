// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>
/// The writer of SMMUv3 context descriptor tables for anyone who can attach one: it is imported by the name
/// <c>arm-smmuv3</c>.
/// </summary>
/// <remarks>
/// Descriptors have 16-bit private ASIDs (ASET = 1) and 48-bit addresses. STE0 and STE1 of the attach parameters
/// describe a valid stage 1 entry without ATS. Source: Arm IHI 0070, issue H.a era, 5.2 to 5.4.
/// </remarks>
[PasidTableFormat(FormatName)]
public sealed class SmmuTableFormat : IPasidTableFormat
{
    public const string FormatName = "arm-smmuv3";

    public string Name => FormatName;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        OpResult<CdTable> table = CdTable.Create(memory, pasidBits, sync, CdSettings.Default);
        return table.IsOk ? OpResult<IPasidTable>.Ok(table.Value) : OpResult<IPasidTable>.Refuse(table.Outcome);
    }
}
