// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// The answer to "who owns PASID allocation": which space the PASIDs of a domain come from. Nothing else in the core
/// knows which answer is configured.
/// </summary>
internal interface IPasidOwnership
{
    /// <summary>The space of a domain that is about to be made.</summary>
    /// <param name="instance">Its unit.</param>
    /// <param name="pasidBits">Its table's width in bits.</param>
    /// <returns>The space; EINVAL where the options do not fit its range.</returns>
    OpResult<PasidSpace> SpaceFor(IommuInstance instance, string domainName, int pasidBits);
}

/// <summary>Makes spaces with the configured range, reservations and decorators.</summary>
internal interface IPasidSpaceFactory
{
    /// <summary>The configured PASIDs.</summary>
    PasidRange Range { get; }

    /// <summary>A space of all configured PASIDs with the configured policy.</summary>
    OpResult<PasidSpace> CreateConfigured(string name);

    /// <summary>A space with a given policy under the configured decorators.</summary>
    OpResult<PasidSpace> CreateWith(string name, IPasidAllocator allocator);
}

/// <summary>The core owns the PASIDs: one space for the whole system, as in the 2017 series.</summary>
internal sealed class CoreOwnership(IPasidSpaceFactory factory) : IPasidOwnership
{
    private OpResult<PasidSpace>? _global;

    public OpResult<PasidSpace> SpaceFor(IommuInstance instance, string domainName, int pasidBits) =>
        _global ??= factory.CreateConfigured("global");
}

/// <summary>The vendor's driver owns the PASIDs: it says how far one reaches and may bring its own
/// allocator.</summary>
internal sealed class VendorOwnership(IPasidSpaceFactory factory) : IPasidOwnership
{
    // By driver name for a scope of the system, by unit for a scope of the unit: names of units need not be unique.
    private readonly Dictionary<object, PasidSpace> _shared = [];

    public OpResult<PasidSpace> SpaceFor(IommuInstance instance, string domainName, int pasidBits)
    {
        IIommuUnit unit = instance.Unit;
        switch (unit.VendorScope)
        {
            case PasidScope.System:
                return Shared(instance.DriverName, instance.DriverName, unit, Pasid.MaxBits);
            case PasidScope.Unit:
                return Shared(instance, instance.Name, unit, Math.Max(1, unit.PasidBits));
            default:
                return Create($"{instance.Name}/{domainName}", unit, pasidBits);
        }
    }

    private OpResult<PasidSpace> Shared(object key, string name, IIommuUnit unit, int bits)
    {
        if (_shared.TryGetValue(key, out PasidSpace? space))
        {
            return OpResult<PasidSpace>.Ok(space);
        }

        OpResult<PasidSpace> made = Create(name, unit, bits);
        if (made.IsOk)
        {
            _shared[key] = made.Value;
        }

        return made;
    }

    private OpResult<PasidSpace> Create(string name, IIommuUnit unit, int bits)
    {
        PasidRange range = factory.Range.Intersect(PasidRange.OfWidth(bits));
        return factory.CreateWith(name, unit.CreateAllocator(range) ?? new LowestPasidAllocator(range));
    }
}
