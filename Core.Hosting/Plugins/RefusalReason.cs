// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hosting.Plugins;

/// <summary>Why a file or folder among the plug-ins was not loaded.</summary>
public enum RefusalReason
{
    /// <summary>A directory to search does not exist or cannot be read.</summary>
    DirectoryUnreadable,

    /// <summary>The file cannot be opened.</summary>
    FileUnreadable,

    /// <summary>The file is not a .NET assembly, or is cut off.</summary>
    NotAnAssembly,

    /// <summary>It is an assembly, and exports neither a driver nor a table format nor an allocator.</summary>
    NoExport,

    /// <summary>A class is marked as an export and cannot be one: abstract, of another type, or two drivers.</summary>
    InvalidExport,

    /// <summary>The values of an export attribute are outside of their limits.</summary>
    InvalidMetadata,

    /// <summary>It was written for an older major version of the driver contract.</summary>
    ContractTooOld,

    /// <summary>It was written for a newer version of the driver contract, or of an assembly that the host
    /// shares.</summary>
    ContractTooNew,

    /// <summary>An assembly that it references is not there.</summary>
    MissingDependency,

    /// <summary>A loaded plug-in, or the framework itself, has a driver, table format, allocator or page table format
    /// of the same name.</summary>
    DuplicateName,

    /// <summary>An exported class has neither a public parameterless constructor nor an importing one.</summary>
    NoImportingConstructor,

    /// <summary>An import has no export to satisfy it.</summary>
    UnsatisfiedImport,

    /// <summary>The constructor of an export, or a static initialiser on its way, threw.</summary>
    ConstructorThrew,

    /// <summary>Its export was composed against another copy of the contract.</summary>
    ContractNotShared,

    /// <summary>The runtime refused to load its types.</summary>
    TypeLoadFailed,
}
