// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// The writer of one PASID table format, exported by name so that another driver can attach such a table without
/// knowing whose assembly writes it (virtio-iommu's "attach PASID table" proposals).
/// </summary>
/// <remarks>Export it with <see cref="PasidTableFormatAttribute"/>; import it with the format's name as MEF contract
/// name.</remarks>
public interface IPasidTableFormat
{
    /// <summary>The format's name, such as <c>arm-smmuv3</c>.</summary>
    string Name { get; }

    /// <summary>Whether its tables can express a quiet entry: <see cref="IPasidTable.CanQuiet"/>.</summary>
    bool CanQuiet => true;

    /// <summary>Builds an empty table.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="pasidBits">Width in bits, 1 to 20.</param>
    /// <param name="sync">Called when hardware caches must be invalidated; the importing driver sends it its own
    /// way.</param>
    /// <returns>The table; ENOMEM; EINVAL for the width.</returns>
    OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync);
}
