// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tables;

/// <summary>
/// The writer of scalable-mode PASID tables for anyone who can attach one: it is imported by the name <c>intel-vtd</c>.
/// </summary>
/// <remarks>
/// Entries are first-stage with AW = 2 (48 bits), and of what depends on the hardware they set nothing (PWSNP, SRE).
/// Source: Intel VT-d, D51397-018 (rev 5.10), sections 9.5 and 9.6.
/// </remarks>
[PasidTableFormat(FormatName)]
public sealed class VtdTableFormat : IPasidTableFormat
{
    public const string FormatName = "intel-vtd";

    public string Name => FormatName;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        OpResult<VtdTable> table = VtdTable.Create(memory, pasidBits, sync, new PasidEntrySettings(2, false, false));
        return table.IsOk ? OpResult<IPasidTable>.Ok(table.Value) : OpResult<IPasidTable>.Refuse(table.Outcome);
    }
}
