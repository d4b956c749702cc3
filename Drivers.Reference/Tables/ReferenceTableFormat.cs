// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tables;

/// <summary>
/// The PASID table alone, for a driver that attaches such a table without knowing who writes it. The unit uses the same
/// one with its own commands.
/// </summary>
[PasidTableFormat(FormatName)]
public sealed class ReferenceTableFormat : IPasidTableFormat
{
    public const string FormatName = "reference";
    public string Name => FormatName;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        OpResult<ReferenceTable> table = ReferenceTable.Create(memory, pasidBits, sync);
        return table.IsOk ? OpResult<IPasidTable>.Ok(table.Value) : OpResult<IPasidTable>.Refuse(table.Outcome);
    }
}
