// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>A piece of IOMMU hardware driven by one driver: a unit as the core knows it.</summary>
public sealed class IommuInstance
{
    internal IommuInstance(string driverName, IIommuUnit unit)
    {
        DriverName = driverName;
        Unit = unit;
    }

    /// <summary>Name of the driver, such as <c>intel-vtd</c>.</summary>
    public string DriverName { get; }

    /// <summary>Name of the unit, such as <c>dmar0</c>.</summary>
    public string Name => Unit.Name;

    public IIommuUnit Unit { get; }
    internal List<DomainRecord> DomainList { get; } = [];
    internal int LastDomainId;
}
