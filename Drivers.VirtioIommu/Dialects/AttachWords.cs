// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>The words of an attach request that come from the table's writer.</summary>
/// <param name="S1ContextPtr">Byte address of the table.</param>
/// <param name="S1CdMax">log2 of its entries.</param>
/// <param name="Ste0">First word of a stream table entry that points to it.</param>
internal readonly record struct AttachWords(
    ulong S1Fmt, ulong S1ContextPtr, ulong S1CdMax, ulong S1Dss, ulong Ste0, ulong Ste1)
{
    /// <returns>The words; EINVAL where the table's writer does not name one of them.</returns>
    public static OpResult<AttachWords> From(IReadOnlyDictionary<string, ulong> parameters)
    {
        foreach (string name in s_names)
        {
            if (!parameters.ContainsKey(name))
            {
                return OpResult<AttachWords>.Refuse(Errno.EINVAL,
                    $"virtio-iommu: the table format arm-smmuv3 gives no attach parameter {name}; needed are "
                    + string.Join(", ", s_names));
            }
        }

        ulong[] values = [.. s_names.Select(name => parameters[name])];
        return OpResult<AttachWords>.Ok(new(values[0], values[1], values[2], values[3], values[4], values[5]));
    }

    private static readonly string[] s_names = ["S1Fmt", "S1ContextPtr", "S1CDMax", "S1DSS", "STE0", "STE1"];
}
