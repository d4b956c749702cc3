using System.Composition;

namespace PasidFramework.Contracts;

/// <summary>Exports a PASID table writer under its format's name as the MEF contract name.</summary>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PasidTableFormatAttribute : ExportAttribute
{
    /// <summary>Describes the export.</summary>
    /// <param name="name">Name of the format, such as <c>arm-smmuv3</c>.</param>
    public PasidTableFormatAttribute(string name)
        : base(name, typeof(IPasidTableFormat)) => Name = name;

    /// <summary>Name of the format.</summary>
    public string Name { get; }
}
