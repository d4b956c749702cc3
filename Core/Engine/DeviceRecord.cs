// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>A device with what the engine keeps of it.</summary>
internal sealed class DeviceRecord : Device
{
    public DeviceRecord(
        string name, RequesterId requester, PasidRange range, DeviceFeatures features, DomainRecord domain)
        : base(name, requester, range, features, domain)
    {
        Domain = domain;
        UsablePasids = range.Intersect(PasidRange.OfWidth(domain.PasidBits));
    }

    public new DomainRecord Domain { get; }
    public IommuInstance Instance => Domain.Instance;

    /// <summary>What it can carry through its domain's table.</summary>
    public PasidRange UsablePasids { get; }

    /// <summary>Unbinds of it that the observer has not been notified of yet.</summary>
    public int Unnotified;

    /// <summary>Set once when the device is being removed: no new binding is accepted.</summary>
    public volatile bool Removing;
}
