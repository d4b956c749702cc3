// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>A device behind an IOMMU, able to tag its requests with PASIDs. Only the core makes one.</summary>
public abstract class Device
{
    private protected Device(string name, RequesterId requester, PasidRange range, DeviceFeatures features,
        Domain domain)
    {
        Name = name;
        Requester = requester;
        Range = range;
        Features = features;
        Domain = domain;
    }

    /// <summary>Name for messages.</summary>
    public string Name { get; }

    /// <summary>The ID by which the IOMMU knows it.</summary>
    public RequesterId Requester { get; }

    /// <summary>The PASIDs it can carry, both ends included; empty where it has no PASID capability.</summary>
    public PasidRange Range { get; }

    /// <summary>What else it can do.</summary>
    public DeviceFeatures Features { get; }

    public Domain Domain { get; }

    /// <summary>A place for the driver to keep its record of the device.</summary>
    public object? DriverState { get; set; }

    /// <summary>
    /// Called when a process that is bound to this device dies, after translation stopped and before the PASID can be
    /// reused. When it returns the device issues no request with that PASID any more. One per <b>device</b>: in 2017 it
    /// was one per domain, and the last to register won (defect B6). It may block, and may call into the core.
    /// </summary>
    public Action<Device, IommuProcess, Pasid>? ProcessExited { get; set; }

    /// <summary>The device's name and requester ID.</summary>
    public sealed override string ToString() => $"{Name} ({Requester})";
}
