namespace PasidFramework.Drivers;

/// <summary>What a driver says of itself: MEF's view of <see cref="PasidDriverAttribute"/>.</summary>
/// <remarks>MEF needs a concrete class with settable properties.</remarks>
public sealed class DriverMetadata
{
    /// <summary>Name of the driver as users type it.</summary>
    public string Name { get; set; } = string.Empty;

    /// <summary>Name of the PASID table format it writes.</summary>
    public string TableFormat { get; set; } = string.Empty;

    /// <summary>Widest PASID in bits.</summary>
    public int PasidBits { get; set; }

    /// <summary>The hardware's maker or the standard's owner.</summary>
    public string Vendor { get; set; } = string.Empty;

    /// <summary>Major version of the contract it was written for.</summary>
    public int ContractMajor { get; set; }

    /// <summary>Minor version of the contract it needs at least.</summary>
    public int ContractMinor { get; set; }
}
